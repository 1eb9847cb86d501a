"""The network, servers and services of a district, from one set of inventory files."""

__version__ = "0.1.0"
