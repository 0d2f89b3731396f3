"""Plug-ins of Glance-or-Gaze: one module a kind."""
