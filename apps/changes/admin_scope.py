# SPDX-License-Identifier: Apache-2.0
"""Admin pages of rows that belong to an organisation: rights by role, edits through services."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import IntegrityError
from django.db.models import Field, ForeignKey, ManyToManyField, Model, ProtectedError, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from typing_extensions import override

from apps.changes.access import actor_of_request
from apps.changes.domain import Actor, Forbidden, Role
from apps.core.django_rows import InUseError, refers_to_nothing

M = TypeVar("M", bound=Model)
if TYPE_CHECKING:
    _Admin = admin.ModelAdmin
else:

    class _Admin(admin.ModelAdmin):
        """Django's class, which names its row type to the type checker only."""

        def __class_getitem__(cls, _row: Any) -> Any:
            return cls


class OrganisationAdmin(_Admin[M]):
    """Shows people their own organisation's rows only; superusers see all.

    `view_roles` may look, `edit_roles` may also add, change and delete. Rooms override `perform_save` and
    `perform_delete` to call their services; fields that hold many rows are in `form.cleaned_data` there.
    Edits are in the change log, so Django's own log stays empty.
    """

    view_roles: ClassVar[tuple[Role, ...]] = ()
    edit_roles: ClassVar[tuple[Role, ...]] = ()
    can_add: ClassVar[bool] = True
    can_delete: ClassVar[bool] = True

    def perform_save(self, request: HttpRequest, obj: M, form: Any, change: bool) -> M | None:
        """Write by a service; the row it returns stands for `obj` from here on."""
        raise NotImplementedError

    def perform_delete(self, request: HttpRequest, obj: M) -> None:
        """Delete by a service."""
        raise NotImplementedError

    def actor(self, request: HttpRequest) -> Actor:
        """Who is at the page."""
        return actor_of_request(request)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        """The rows that the person may see."""
        rows = super().get_queryset(request)
        return (
            rows
            if self.actor(request).is_superuser
            else rows.filter(organisation_id=self.actor(request).organisation_id)
        )

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the room shows on the first page."""
        return self.has_view_permission(request)

    @override
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By `view_roles` or `edit_roles`, and the row's organisation."""
        return self._may(request, (*self.view_roles, *self.edit_roles), obj)

    @override
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By `edit_roles`."""
        return self.can_add and self._may(request, self.edit_roles, None)

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By `edit_roles` and the row's organisation."""
        return self._may(request, self.edit_roles, obj)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By `edit_roles` and the row's organisation."""
        return self.can_delete and self._may(request, self.edit_roles, obj)

    def _may(self, request: HttpRequest, roles: tuple[Role, ...], obj: Any) -> bool:
        person: Any = request.user
        if not (person.is_active and getattr(person, "is_staff", False) and roles):
            return False
        actor = self.actor(request)
        own = obj is None or actor.is_superuser or obj.organisation_id == actor.organisation_id
        return own and actor.has(*roles)

    @override
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Hand the edit to the room's service."""
        if not change:
            obj.organisation_id = self.actor(request).organisation_id
        saved = self.perform_save(request, obj, form, change)
        if saved is not None:
            obj.pk = saved.pk
            obj._state.adding = False

    @override
    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing: the service has written them."""

    @override
    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Hand the deletion to the room's service."""
        self.perform_delete(request, obj)

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[M]) -> None:
        """Hand each deletion to the room's service."""
        for row in queryset:
            self.perform_delete(request, row)

    @override
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """Nothing: see the change log."""

    @override
    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """Nothing: see the change log."""

    @override
    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:  # type: ignore[override]
        """Nothing: see the change log."""

    @override
    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The change log's entries about the row."""
        if self.get_object(request, object_id) is None:
            raise PermissionDenied
        return HttpResponseRedirect(f"{reverse('admin:changes_change_changelist')}?subject_id={object_id}")

    @override
    def get_list_filter(self, request: HttpRequest) -> Any:
        """Filters by a relation offer what the person's own rows use, never other organisations' names."""
        return [self._own_choices(item) for item in super().get_list_filter(request)]

    def _own_choices(self, item: Any) -> Any:
        name = item[0] if isinstance(item, tuple) else item
        relations = {field.name for field in self.opts.get_fields() if field.is_relation}
        if isinstance(name, str) and name in relations:
            return (name, admin.RelatedOnlyFieldListFilter)
        return item

    @override
    def formfield_for_foreignkey(
        self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Only rows of the form's organisation can be chosen."""
        return super().formfield_for_foreignkey(db_field, request, **self._own(db_field, request, kwargs))

    @override
    def formfield_for_manytomany(
        self, db_field: "ManyToManyField[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Only rows of the form's organisation can be chosen."""
        return super().formfield_for_manytomany(db_field, request, **self._own(db_field, request, kwargs))

    def _own(
        self, db_field: "Field[Any, Any]", request: HttpRequest, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        related: Any = db_field.related_model
        if "queryset" not in kwargs and hasattr(related, "organisation_id"):
            kwargs["queryset"] = related._default_manager.filter(
                organisation_id=self._organisation_of_form(request)
            )
        return kwargs

    def _organisation_of_form(self, request: HttpRequest) -> str:
        match = request.resolver_match
        row: Any = None
        if match is not None and match.kwargs.get("object_id"):
            row = self.get_object(request, match.kwargs["object_id"])
        return row.organisation_id if row is not None else self.actor(request).organisation_id

    @override
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The form; what a service refuses is said on top of it."""
        return self._telling(
            request, lambda: super(OrganisationAdmin, self).changeform_view(request, *args, **kwargs)
        )

    @override
    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The question; what a service refuses is said on top of it."""
        return self._telling(
            request, lambda: super(OrganisationAdmin, self).delete_view(request, *args, **kwargs)
        )

    @override
    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The list; what a service refuses to an action is said on top of it."""
        return self._telling(
            request, lambda: super(OrganisationAdmin, self).changelist_view(request, *args, **kwargs)
        )

    def _telling(self, request: HttpRequest, view: Callable[[], Any]) -> Any:
        try:
            return view()
        except Forbidden as fault:
            raise PermissionDenied(str(fault)) from None
        except ValidationError as fault:
            said = " ".join(fault.messages)
        except InUseError as fault:
            said = str(fault)
        except ProtectedError:
            said = _("Other rows still need this one. Change or delete these first.")
        except ObjectDoesNotExist:
            said = _("It is no longer there.")
        except IntegrityError as fault:
            if not refers_to_nothing(fault):
                raise
            said = _("Something that this refers to was deleted meanwhile. Look again and repeat it.")
        self.message_user(request, said, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())
