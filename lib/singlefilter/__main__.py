import sys

from singlefilter.run import main

sys.exit(main())
