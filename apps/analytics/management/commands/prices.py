# SPDX-License-Identifier: Apache-2.0
"""`manage.py prices`: show the catalogue, make its snapshot afresh, price records again, measure estimates."""

from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from typing_extensions import override

from apps.analytics.estimates import measure
from apps.analytics.rerating import Rerated, rerate
from apps.changes.domain import system
from apps.core import clock, money
from apps.core.tenancy import EVERYONE
from apps.identity.selectors import organisations
from apps.providers.catalogue import SNAPSHOT, Catalogue, Entry, catalogue
from apps.providers.catalogue_refresh import MissingPackageError, write
from apps.providers.pricing import catalogue_version, document

_SHOWN = 20
_WEEK = timedelta(days=7)


class Command(BaseCommand):
    """The prices of models."""

    help = "Show published prices, refresh their snapshot, price records again, or measure estimates."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        """Four actions with their own options."""
        actions = parser.add_subparsers(dest="action", required=True)
        show = actions.add_parser("show", help="what a provider charges for a model, with its history")
        show.add_argument("provider")
        show.add_argument("model")
        refresh = actions.add_parser("refresh", help="make the snapshot from the installed price package")
        refresh.add_argument("--output", type=Path, default=SNAPSHOT, help="the file to write")
        again = actions.add_parser("rerate", help="price records again and note what differs")
        again.add_argument("--from", dest="start", type=_moment, required=True, help="first moment, UTC")
        again.add_argument(
            "--to", dest="end", type=_moment, required=True, help="first moment that is left out"
        )
        again.add_argument("--model", default="", help="only records of this model")
        again.add_argument(
            "--organisation", default=EVERYONE, help="id of one organisation; else all of them"
        )
        again.add_argument("--reason", default="", help="why, for the change log")
        again.add_argument("--author", default="", help="who asks for it, for the change log")
        again.add_argument("--dry-run", action="store_true", help="count only, write nothing")
        measured = actions.add_parser(
            "estimates", help="how far estimates of input are from what providers count"
        )
        measured.add_argument("--from", dest="start", type=_moment, help="first moment, UTC; else a week ago")
        measured.add_argument(
            "--to", dest="end", type=_moment, help="first moment that is left out; else now"
        )
        measured.add_argument(
            "--organisation", default=EVERYONE, help="id of one organisation; else all of them"
        )

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked for."""
        actions = {
            "show": self._show,
            "refresh": self._refresh,
            "rerate": self._rerate,
            "estimates": self._estimates,
        }
        actions[options["action"]](options)

    def _show(self, options: dict[str, Any]) -> None:
        book = catalogue()
        if book.source(options["provider"]) is None:
            raise CommandError(
                f"The price catalogue has no provider {options['provider']}. It has: {', '.join(book.sources)}."
            )
        entry = book.find(options["provider"], options["model"])
        if entry is None:
            raise CommandError(_no_such_model(book, options["provider"], options["model"]))
        self.stdout.write(f"{entry.provider}/{entry.id}, from {book.meta.source} {book.meta.version}")
        if entry.note:
            self.stdout.write(entry.note)
        for dated in entry.history:
            self.stdout.write(f"\nfrom {dated.since or 'the beginning'}:")
            self.stdout.write(f"  version: {catalogue_version(entry, dated.prices, dated.since)}")
            for name, value in document(dated.prices).items():
                self.stdout.write(f"  {name}: {value}")

    def _refresh(self, options: dict[str, Any]) -> None:
        try:
            size = write(options["output"])
        except MissingPackageError as fault:
            raise CommandError(str(fault)) from None
        self.stdout.write(f"{size} bytes written" if size else "The snapshot is as the package has it.")

    def _rerate(self, options: dict[str, Any]) -> None:
        if options["start"] >= options["end"]:
            raise CommandError("--to is later than --from.")
        if not options["dry_run"] and not (options["reason"].strip() and options["author"].strip()):
            raise CommandError("Say why and who with --reason and --author, or look first with --dry-run.")
        for organisation in _wanted(options["organisation"]):
            found = rerate(
                actor=system(organisation.id, options["author"].strip() or "Smartflow"),
                organisation_id=organisation.id,
                start=options["start"],
                end=options["end"],
                reason=options["reason"],
                model=options["model"],
                dry_run=options["dry_run"],
            )
            self.stdout.write(f"{organisation.name}: {_sentence(found, options['dry_run'])}")

    def _estimates(self, options: dict[str, Any]) -> None:
        end = options["end"] or clock.now()
        start = options["start"] or end - _WEEK
        for organisation in _wanted(options["organisation"]):
            found = measure(organisation.id, start, end)
            self.stdout.write(f"{organisation.name}: {len(found)} models with estimates")
            for name, one in sorted(found.items()):
                self.stdout.write(
                    f"  {name}: {one.ratio:.2f} of what was counted, {one.lowest:.2f} to {one.highest:.2f},"
                    f" over {one.records} requests"
                )


def _wanted(organisation_id: str) -> QuerySet[Any]:
    """All organisations, or the one that is named; CommandError where there is none."""
    wanted = organisations(EVERYONE)
    if organisation_id != EVERYONE:
        wanted = wanted.filter(id=organisation_id)
        if not wanted.exists():
            raise CommandError(f"There is no organisation {organisation_id}.")
    return wanted


def _sentence(found: Rerated, dry_run: bool) -> str:
    verb = "would be corrected" if dry_run else "corrected"
    text = f"{found.looked} records looked at, {found.corrected} {verb}"
    if found.corrected:
        text += f", from {money.text(found.before)} to {money.text(found.after)} dollars"
    if found.unpriced:
        text += f"; no price is known for {found.unpriced}"
    return text


def _no_such_model(book: Catalogue, provider: str, model: str) -> str:
    source = book.source(provider)
    own = source.provider if source is not None else provider
    near: list[Entry] = list(islice(book.search(model, own), _SHOWN))
    hint = f" Near it: {', '.join(entry.id for entry in near)}." if near else ""
    return f"The price catalogue has no model {model} of {own}.{hint}"


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is no date: write 2026-10-01 or 2026-10-01T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
