"""Every event type that the providers' documents name, as data, and how to look one up."""

from payhooks.catalogue.registry import CATALOGUE, Catalogue

__all__ = ["CATALOGUE", "Catalogue"]
