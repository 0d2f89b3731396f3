"""The bundled world."""
