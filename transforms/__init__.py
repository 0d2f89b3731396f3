"""What happens to a record: the core (free of Beam and torch), the services, and the PTransforms in `beam`."""
