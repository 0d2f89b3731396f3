"""The stages from seed to verdict: async functions over services, free of Beam. `gog.transforms.beam` wraps them."""
