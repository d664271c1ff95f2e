"""The own classifier of a ready network, taken as a head."""
