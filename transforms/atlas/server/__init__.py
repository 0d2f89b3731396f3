"""The planner behind HTTP, with faults to order: for rehearsing a run before it costs money.

- `server`: the OpenAI-compatible server; `wire`: its requests and replies
- `faults`: what goes wrong, and when; `pictures`: the images of requests under way
"""
