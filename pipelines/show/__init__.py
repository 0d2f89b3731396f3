"""What people look at: pictures of trajectories, the report, the browser."""
