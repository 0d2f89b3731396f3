"""The benchmarks as items to be answered and scored: `items` holds the contract, `loading` opens one by its name."""
