"""The claims about growth in words: what each says, its statistic, and when it holds. Fixed before any result."""

from singlefilter.studies.growth import laws
from singlefilter.studies.rules import FEWEST_LAYERS, TAU, Rule

LINEAR = (0.8, 1.25)  # exponents that count as about 1: tenfold K is 6 to 18 times the error


HARDLY = 0.1  # exponents up to here count as none: tenfold K is a factor of 1.26


WHOLE_RANGE = (3, 1000)  # K of claim C5


FEWEST_WIDTHS = 3


CLEARLY_BETTER = 2.0  # in AICc: less than this apart, two descriptions are as good (Burnham & Anderson 2002)


_OVER_NETWORKS = "label subsets at each K, and training seeds inside them"


# Direction 0: the quantity should stay.
RULES = (
    Rule(
        "C4",
        "the maximal error rate grows about linearly with K",
        "lambda of a + b (K^lambda - 1) / lambda, largest error over label subsets",
        +1,
        _OVER_NETWORKS,
        "paper, abstract",
    ),
    Rule(
        "C5",
        f"the trends hold for K in [{WHOLE_RANGE[0]}, {WHOLE_RANGE[1]}]",
        "smallest Kendall's tau of layer with accuracy and with SNR, over all K",
        +1,
        "networks, at each K on their own",
        "paper, abstract",
    ),
    Rule(
        "C6",
        "C_s and N_c at the last convolution hardly depend on K",
        "larger absolute log-log slope of N_c and C_s against K",
        0,
        _OVER_NETWORKS,
        "first version of the paper only",
    ),
    Rule(
        "C8",
        "error ~ K^rho with rho about 1 for deep networks, smaller for shallow ones",
        "rho of the deep network minus rho of the shallow one, mean error over label subsets",
        +1,
        _OVER_NETWORKS,
        "Koresh et al. 2024",
    ),
    Rule(
        "C9",
        "noise per filter falls as a power law in the number of filters per layer",
        "largest log-log slope of noise against filters per layer, over depths",
        -1,
        "training seeds at each depth and width, and filters inside them",
        "Tevet et al. 2024",
    ),
)


_TOO_FEW = f"fewer than {laws.FEWEST_LABELS} different K, or a K below the largest with a single network"


_ACROSS = "the interval reaches across a bar"


VERDICTS = {
    "C4": {
        "supported": f"the whole interval of lambda lies within {LINEAR[0]} to {LINEAR[1]} (1: linear, 0: logarithm)",
        "not supported": "the whole interval lies outside, or the error does not clearly rise: the exponent of its "
        f"power law is not above {HARDLY} with its whole interval",
        "undecided": f"{_ACROSS}; {_TOO_FEW}",
    },
    "C5": {
        "supported": f"the whole interval of the smallest tau is at least {TAU}, and K reaches from at most "
        f"{WHOLE_RANGE[0]} to at least {WHOLE_RANGE[1]}",
        "not supported": f"the whole interval is below {TAU}, whatever the range of K",
        "undecided": f"{_ACROSS}; the range of K is smaller; {_TOO_FEW}; fewer than {FEWEST_LAYERS} layers; a layer "
        "without value",
    },
    "C6": {
        "supported": f"the whole interval is at most {HARDLY}: a factor of 1.4 or less from K = 3 to 100",
        "not supported": f"the whole interval is above {HARDLY}",
        "undecided": f"{_ACROSS}; {_TOO_FEW}, not counting K at which a network has no cluster",
    },
    "C8": {
        "supported": f"the whole interval of rho of the deep network lies within {LINEAR[0]} to {LINEAR[1]}, and "
        f"that of the difference is at least {HARDLY}",
        "not supported": f"the whole interval of the difference is below {HARDLY}, or that of rho of the deep "
        "network lies outside its bars",
        "undecided": f"{_ACROSS}; {_TOO_FEW}, of the K that both have",
    },
    "C9": {
        "supported": f"the whole interval is at most -{HARDLY}, and a power law describes the means about as well as "
        f"an exponential or better (AICc, all depths together, at most {CLEARLY_BETTER:g} above)",
        "not supported": f"the whole interval is above -{HARDLY}, or an exponential is clearly better",
        "undecided": f"{_ACROSS}; a depth with fewer than {FEWEST_WIDTHS} widths, or with a mean noise of zero",
    },
}
