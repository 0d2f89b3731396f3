"""Encoders: pictures and texts as vectors of unit length, so that what is alike lies close together."""
