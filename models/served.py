"""The model behind an endpoint: a load of which only the request's shape is known."""

from wattbench.models.load import ModelSpec
from wattbench.results.subject import Family

__all__ = ["AS_SERVED", "SERVED", "served_model"]

SERVED = "served"
"""The name of the model in a load's name: "served/chat" is the shape "chat" on whatever an endpoint serves."""

AS_SERVED = "as-served"
"""The precision of what an endpoint serves: its own affair."""


def served_model(family: Family = "decoder") -> ModelSpec:
    """Return the model of which nothing is known but that it takes text, and gives text or (an encoder) tensors."""
    return ModelSpec(
        name=SERVED,
        version=1,
        family=family,
        architecture="unknown",
        config={},
        parameters=None,
        precisions=(AS_SERVED,),
        tolerances=(),
        sources=("the endpoint; its model is not known (docs/endpoints.md)",),
        checkpoint=None,
    )
