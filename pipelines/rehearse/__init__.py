"""Before a run: doctor, plan, preview."""
