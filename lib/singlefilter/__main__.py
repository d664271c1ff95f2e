import sys

from singlefilter import surroundings

if __name__ == "__main__":
    surroundings.settle()  # before what reads the environment is imported
    from singlefilter.run import main

    sys.exit(main(sys.argv[1:]))
