"""Fits the sentiment stack on labelled headlines and leaves an artifact that needs neither sklearn nor torch."""
