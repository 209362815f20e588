"""What the tests of papers share with those of experiments."""

from experiments.conftest import write_run as write_run
