"""`gog view`: a lake's trajectories in the browser, for looking and for review.

aiohttp serves, Jinja2 writes the pages, both of the base install; a little JavaScript has the keys and the boxes.
Nothing is built, nothing is fetched from elsewhere.
"""
