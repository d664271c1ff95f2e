"""What may be wrong with a network, its heads or its images, each kind by a name of its own."""


class CutError(ValueError):
    """A place where a network cannot be cut; the message names it, what was found there, and what to do."""


class HeadError(ValueError):
    """A head that does not fit its cut or the labels; the message names both, with their shapes."""


class InputError(ValueError):
    """Images or labels that cannot be taken as they are; the message says what they are and what is taken."""


class ForwardError(RuntimeError):
    """A network that fails on its images, or whose maps of an image depend on more than the image."""
