"""The contract of a rule as a tool: `check_rule(rule)` runs all checks on a rule."""

from .suite import CheckResult, RuleCheckError, RuleChecks, RuleReport, check_rule

__all__ = ["CheckResult", "RuleCheckError", "RuleChecks", "RuleReport", "check_rule"]
