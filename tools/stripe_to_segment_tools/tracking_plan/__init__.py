"""The tracking plan as Segment's rules, a JSON Schema, a document, and a check of calls."""

from stripe_to_segment_tools.tracking_plan.document import markdown
from stripe_to_segment_tools.tracking_plan.tracking_plan import TrackingPlan, plan_under, violations

__all__ = ["TrackingPlan", "markdown", "plan_under", "violations"]
