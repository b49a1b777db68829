"""A Deriv v3 venue on localhost: published index processes, multipliers and rise/fall contracts, one demo account."""
