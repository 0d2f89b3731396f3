"""Teacher, policy and judge over HTTP: any endpoint with OpenAI's chat completions.

- `settings`: what an endpoint or a model needs said differently
- `wire`: messages to a request's JSON; `reply`: an answer's JSON back; `failures`: what an error means
- `pictures`: images as data URLs within a pixel budget
- `client`: the chat model around it all
- `serving`: the other side, a request's JSON read and a reply's written
"""

from gog.transforms.services.models.chat.client import ChatModel
from gog.transforms.services.models.chat.settings import ModelSettings, model_id

__all__ = ["ChatModel", "ModelSettings", "model_id"]
