"""The benchmarks: a module each, with its `BENCHMARK`."""
