"""What a model is told: one file a prompt, one strict renderer."""

from gog.prompts.render import Prompt, PromptError, prompt_hash, render

__all__ = ["Prompt", "PromptError", "prompt_hash", "render"]
