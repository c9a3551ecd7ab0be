# SPDX-License-Identifier: Apache-2.0
"""The form of one policy: its fields for each detector kind are made from the kind's schema."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.policies import drafts
from apps.policies.kinds import KINDS, schema
from apps.policies.models import ACTIONS, PHASES, PolicyRow

SCOPE_LABELS = {
    "models": _("models"),
    "team_ids": _("teams, by id"),
    "key_ids": _("keys, by id"),
    "departments": _("departments"),
    "groups": _("groups"),
}
_OFFERED = [name for name, kind in KINDS.items() if kind.OFFERED]


def _without_ref(described: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in described.items() if name != "$ref"}


def _in_words(value: str) -> str:
    """A constant of a kind as people read it."""
    return value.replace("_", " ").capitalize() if value.isupper() else value


def field_of(label: str, described: Mapping[str, Any], definitions: Mapping[str, Any]) -> forms.Field:
    """A form field for one property of a JSON schema: checkboxes, a choice, a number, a box or a line."""
    while "$ref" in described:
        described = {**definitions[described["$ref"].rpartition("/")[2]], **_without_ref(described)}
    common: dict[str, Any] = {
        "label": label,
        "required": False,
        "help_text": described.get("description", ""),
    }
    match described.get("type", "string" if "enum" in described else None):
        case "array":
            items = described["items"]
            while "$ref" in items:
                items = definitions[items["$ref"].rpartition("/")[2]]
            return forms.MultipleChoiceField(
                choices=[(value, _in_words(value)) for value in items["enum"]],
                widget=forms.CheckboxSelectMultiple,
                **common,
            )
        case "boolean":
            return forms.BooleanField(**common)
        case "integer":
            return forms.IntegerField(
                min_value=described.get("minimum"), max_value=described.get("maximum"), **common
            )
        case "string" if "enum" in described:
            return forms.ChoiceField(
                choices=[("", "—"), *((v, _in_words(v)) for v in described["enum"])], **common
            )
        case "string":
            return forms.CharField(max_length=described.get("maxLength"), **common)
        case other:
            raise TypeError(f"no form field for a property of type {other!r}")


def _fields_of_kinds() -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {}
    for kind in _OFFERED:
        described = schema(kind)
        for name, one in described["properties"].items():
            fields[f"{kind}__{name}"] = field_of(
                f"{KINDS[kind].LABEL}: {name.replace('_', ' ')}", one, described["$defs"]
            )
    return fields


def _fields_of_scope() -> dict[str, forms.Field]:
    return {
        f"scope__{name}": forms.CharField(
            label=label,
            required=False,
            widget=forms.Textarea(attrs={"rows": 2}),
            help_text=_("One a line; left empty, everybody's."),
        )
        for name, label in SCOPE_LABELS.items()
    }


_Made = type("_Made", (forms.Form,), {**_fields_of_kinds(), **_fields_of_scope()})


class PolicyForm(forms.ModelForm, _Made):  # type: ignore[type-arg, misc, valid-type]
    """One policy. Detectors that the form does not show stay as they are."""

    phases = forms.MultipleChoiceField(
        label=_("looks at"),
        choices=PHASES,
        widget=forms.CheckboxSelectMultiple,
        initial=[p for p, _ in PHASES],
    )
    action = forms.ChoiceField(label=_("what it does"), choices=ACTIONS, widget=forms.RadioSelect)
    fail_closed = forms.TypedChoiceField(
        label=_("if the check fails"),
        choices=[("True", _("Stop: nothing goes on unchecked")), ("False", _("Let it pass and record that"))],
        coerce=lambda value: value == "True",
        widget=forms.RadioSelect,
        initial="True",
    )

    class Meta:
        model = PolicyRow
        fields = ("name", "enabled", "action", "fail_closed")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        row: PolicyRow | None = kwargs.get("instance")
        if row is not None:
            kwargs["initial"] = {**_initial(row), **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    @override
    def clean(self) -> dict[str, Any]:
        """Detectors and scope put together and checked as the service will check them."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        scope = {
            name: [line.strip() for line in values.get(f"scope__{name}", "").splitlines() if line.strip()]
            for name in SCOPE_LABELS
        }
        for name, made in (("detectors", self._detectors(values)), ("scope", scope)):
            try:
                values[name] = drafts.CHECKS[name](made)
            except ValidationError as fault:
                self.add_error(None, fault.messages)
        return values

    def _detectors(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        left = list(self.instance.detectors or [])
        detectors: list[dict[str, Any]] = []
        for kind in _OFFERED:
            shown = next((detector for detector in left if detector["kind"] == kind), None)
            if shown is not None:
                left.remove(shown)
            names = list(schema(kind)["properties"])
            params = {name: values.get(f"{kind}__{name}") for name in names}
            filled = {name: value for name, value in params.items() if value not in (None, "", [], False)}
            if filled:
                detectors.append({"kind": kind, "params": filled})
        return [*detectors, *left]


def _initial(row: PolicyRow) -> dict[str, Any]:
    initial: dict[str, Any] = {"phases": row.phases, "fail_closed": str(row.fail_closed)}
    for detector in reversed(row.detectors):
        initial |= {f"{detector['kind']}__{name}": value for name, value in detector["params"].items()}
    return initial | {f"scope__{name}": "\n".join(names) for name, names in row.scope.items()}
