"""How certain the statistics are: error of the mean, reliability, samples to convergence, nulls."""
