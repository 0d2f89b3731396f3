"""Files of rows: formats, cells, the mapping of columns, pictures beside rows."""
