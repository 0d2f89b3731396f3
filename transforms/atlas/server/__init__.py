"""The planner behind HTTP, with faults to order: for rehearsing a run before it costs money.

- `server`: the OpenAI-compatible server (its JSON is `services.models.chat.serving`)
- `faults`: what goes wrong, and when; `pictures`: the images of requests under way
"""
