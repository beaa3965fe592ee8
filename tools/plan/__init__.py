"""The tracking plan for people and other programs: Segment's rules, a JSON Schema, a document, and a check of calls."""

from tools.plan.document import markdown
from tools.plan.tracking_plan import TrackingPlan, violations

__all__ = ["TrackingPlan", "markdown", "violations"]
