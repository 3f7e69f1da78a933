"""Where requests come in: whose slot is it, and which of three ways to upload does its client speak?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from morphnet.net.http import Exchange
from morphnet.net.listen import NOTHING_LEFT
from morphnet.roles.upload.callers import GUESS, Callers, TooOften
from morphnet.roles.upload.chunking import CHUNKED, STATUS, Chunking, is_chunked
from morphnet.roles.upload.chunking import SIZE as TOTAL
from morphnet.roles.upload.drafting import Drafting
from morphnet.roles.upload.giving import PROXYS_PATIENCE, Giving
from morphnet.roles.upload.parting import PART, SIZE, Parting
from morphnet.roles.upload.pen import Overrun
from morphnet.roles.upload.secrets import folder_of
from morphnet.roles.upload.sessions import HEADER, QUERY, Sessions, check_session, session_id
from morphnet.roles.upload.shelf import Shelf
from morphnet.roles.upload.tussing import Tussing
from morphnet.roles.upload.visit import CORS, Visit
from morphnet.store.base import OPEN, StoreAway, UploadRecord
from morphnet.store.vault import Taken
from morphnet.wire.messages.upload import drafts, tus
from morphnet.wire.messages.upload.drafts import ANY, Appends
from morphnet.wire.messages.upload.slots import UNKNOWN, Claim, Slot, SlotRefused, told_path, verified

LONGEST_PATH = 1024  # characters, decoded
AWAY = 5  # seconds after which who met a store that is away comes again
_LONGEST_KIND = 200


def _in_parts(exchange: Exchange) -> bool:
    return PART in exchange.query or "upload-concat" in exchange.headers


def _uploads(headers: Mapping[str, str]) -> bool:
    return tus.speaks(headers) or drafts.speaks(headers)


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every upload."""

    base: str  # path before that of a slot, from slash to slash
    max_size: int  # bytes
    kept_for: int  # seconds that an upload is kept without its end
    quota: int = 0  # bytes of all files of one user; 0: no limit
    keeps: int = 0  # seconds that a whole file is kept; 0: for ever
    appends: Appends = ANY


class Desk:
    """
    Answers every request.

    :param secrets: those that are good now for a slot at this path, the one in use first.
    :param callers: who guesses too often is told so; None: nobody counts.
    """

    def __init__(
        self, rules: Rules, shelf: Shelf, secrets: Callable[[str], Sequence[bytes]], callers: Callers | None = None
    ) -> None:
        self._rules, self._shelf, self._secrets, self._callers = rules, shelf, secrets, callers
        self._giving, self._tus = Giving(shelf), Tussing(shelf, rules.max_size, rules.kept_for)
        self._parting = Parting(shelf, self._tus, rules.kept_for)
        self._chunking = Chunking(shelf)
        self._sessions = Sessions(shelf, secrets)
        self._drafts = Drafting(shelf, rules.max_size, rules.kept_for, rules.appends)
        shelf.max_size, shelf.quota = rules.max_size, rules.quota

    async def answer(self, exchange: Exchange) -> None:
        """Answer one."""
        callers, caller = self._callers, ""
        try:
            if callers is not None:
                caller = callers.address(exchange.peer, exchange.headers.get("x-forwarded-for", ""))
                exchange.caller = caller
                if callers.is_proxy(exchange.peer):
                    exchange.patience = PROXYS_PATIENCE
            await self._route(exchange)
        except SlotRefused as refused:
            self._refuse(exchange, self._counted(exchange, caller, refused))
        except Taken:
            self._shelf.counts["uploads_taken_elsewhere"] += 1
            exchange.hang_up()
        except StoreAway as away:
            self._shelf.counts["uploads_store_away"] += 1
            exchange.tell("Retry-After", str(AWAY))
            self._refuse(exchange, SlotRefused(503, f"{away}: come again"))
        except ValueError as mistake:
            self._refuse(exchange, SlotRefused(400, str(mistake)))
        except OSError as trouble:
            self._no_room(exchange, trouble)

    def _counted(self, exchange: Exchange, caller: str, refused: SlotRefused) -> SlotRefused:
        """What it is told. Whoever holds a slot is served, however many at his address guess: phones share theirs."""
        if self._callers is not None and refused.status in GUESS:
            try:
                self._callers.check(caller)
            except TooOften as often:
                self._shelf.counts["uploads_too_often"] += 1
                exchange.tell("Retry-After", str(often.after))
                return often
            self._callers.refused(caller)
        self._shelf.counts["uploads_refused"] += 1
        return refused

    def _no_room(self, exchange: Exchange, trouble: OSError) -> None:
        why = (trouble.strerror or "the disk fails").lower()
        if trouble.errno in NOTHING_LEFT:  # of descriptors, or of memory: for a moment, and not on the disk
            self._shelf.counts["uploads_put_off"] += 1
            exchange.tell("Retry-After", str(AWAY))
            self._refuse(exchange, SlotRefused(503, f"{why}: come again"))
            return
        self._shelf.counts["uploads_without_room"] += 1
        self._refuse(exchange, SlotRefused(507, f"no room: {why}"))

    def _refuse(self, exchange: Exchange, refused: SlotRefused) -> None:
        if refused.status >= 500 and exchange.promised:
            exchange.hang_up()  # its client comes again, until there is room; the status would end its upload for good
            return
        said = {**CORS, "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        if tus.speaks(exchange.headers):
            said["Tus-Resumable"] = tus.VERSION
        if refused.status == 401:
            said["WWW-Authenticate"] = "Bearer"
        exchange.answer(refused.status, said, f"{refused.reason}\n".encode())

    def _path(self, exchange: Exchange) -> str:
        location = exchange.location
        path = location.removeprefix(self._rules.base)
        if path == location:
            raise SlotRefused(404, "nothing is here")
        if path in (CHUNKED, STATUS):
            path = told_path(exchange.headers.get("authorization", ""))
        if not path or "\0" in path or len(path) > LONGEST_PATH:
            raise SlotRefused(404, "nothing is here")
        exchange.place = self._shelf.turns.come()  # before anything is waited for
        return path

    async def _route(self, exchange: Exchange) -> None:
        headers, verb = exchange.headers, exchange.verb
        if verb == "POST" and tus.speaks(headers):
            verb = headers.get("x-http-method-override", verb).upper()
        if verb == "OPTIONS":
            exchange.answer(204, {**self._tus.offers(), **self._drafts.offers(headers)})
            return
        path = self._path(exchange)
        said = exchange.location.removeprefix(self._rules.base)
        if self._shelf.scanning is not None:
            self._shelf.scanning.check(path, verb)
        record = await self._shelf.find(path)
        if said in (CHUNKED, STATUS):
            visit = self._visit(exchange, path, record)
            await self._chunking.answer(visit, self._secrets(path), status=said == STATUS)
            return
        if QUERY in exchange.query and (verb == "GET" or (verb == "POST" and not _uploads(headers))):
            await self._to_owner(exchange, path, record)
            return
        to_resume = self._asks_for_offset(exchange) and (verb == "HEAD" or (record and not record.completed_at))
        if verb in ("GET", "HEAD") and not to_resume:
            self._giving.give(exchange, record)
            return
        if verb not in ("GET", "PUT", "POST", "PATCH", "HEAD", "DELETE"):
            raise SlotRefused(405, "this is not done here")
        visit = self._visit(exchange, path, record)
        if visit.begins.size != UNKNOWN:
            exchange.tell(HEADER, session_id(self._secrets(path)[0], record or visit.begins))
        if tus.speaks(headers) and _in_parts(exchange):
            await self._parting.answer(visit, verb)
        elif verb == "DELETE":
            await self._delete(visit)
        elif tus.speaks(headers) and verb != "GET":
            await self._tus.answer(visit, verb)
        elif verb in ("PATCH", "HEAD", "GET") or drafts.speaks(headers):
            await self._drafts.answer(visit, verb)
        elif verb == "PUT":
            await self._put(visit)
        else:
            raise SlotRefused(405, "this is not done here: PUT the file")

    async def _to_owner(self, exchange: Exchange, path: str, record: UploadRecord | None) -> None:
        """How far an upload is, or a new token; the one that is shown may be over by now, but not forged."""
        if record is None:
            raise SlotRefused(404, "no upload has begun here")
        self._visit(exchange, path, record, now=float(record.created_at))
        check_session(exchange.query[QUERY], self._secrets(path), record)
        await (self._sessions.tell if exchange.verb == "GET" else self._sessions.refresh)(exchange, record)

    @staticmethod
    def _asks_for_offset(exchange: Exchange) -> bool:
        headers = exchange.headers
        token = "authorization" in headers or exchange.query.keys() & {"v", "v2", "v3", "token"}
        return bool(tus.speaks(headers) or drafts.VERSION in headers or token)

    def _visit(self, exchange: Exchange, path: str, record: UploadRecord | None, *, now: float | None = None) -> Visit:
        """
        :param now: when its slot must be good; None: now.
        :raises SlotRefused: the request holds no slot for this path.
        """
        headers = exchange.headers
        size, kind = self._told_size(exchange), headers.get("content-type", "")
        if "upload-metadata" in headers:
            kind = tus.metadata(headers["upload-metadata"]).get("filetype", "")
        if record is not None:
            size, kind = record.size, record.kind
        claim = Claim(exchange.verb, path, exchange.query, headers.get("authorization", ""), size, kind)
        now = self._shelf.wall() if now is None else now
        if record is None and exchange.verb not in ("PUT", "POST") and size == UNKNOWN:
            claim = replace(claim, size=UNKNOWN)
            if not claim.authorization:
                raise SlotRefused(404, "no upload has begun here")
        try:
            slot = verified(claim, self._secrets(path), now)
        except SlotRefused as refused:
            if refused.status != 413 or not drafts.speaks(headers) or tus.speaks(headers):
                raise
            exchange.tell(*drafts.dialect(headers).flag(False))
            raise SlotRefused(400, refused.reason) from None
        if record is not None and slot.once and record.user != slot.user:
            raise SlotRefused(403, "the slot is for another user's file")
        if record is None and slot.opens_until and slot.opens_until < now:
            raise SlotRefused(410, "the slot is over: ask for another")
        whole = slot.size if slot.size != UNKNOWN else size
        if whole > self._rules.max_size:
            exchange.tell("Upload-Limit", drafts.dialect(headers).limit(self._rules.max_size, None))
            raise SlotRefused(413, f"files may have {self._rules.max_size} bytes")
        user, keep = self._owner(slot)
        kind = slot.kind or ("" if slot.once else kind)  # of who may choose the path no more is believed than is signed
        begins = UploadRecord(path, whole, kind[:_LONGEST_KIND], user, int(now))
        if keep:
            begins = replace(begins, lasts_until=int(now) + keep)
        may_be_open = slot.scheme == "v3" and drafts.speaks(headers) and not tus.speaks(headers)
        visit = Visit(exchange, headers, begins, record, self._rules.quota, may_be_open)
        return replace(visit, once=slot.once, once_until=int(slot.lasts_until))

    def _owner(self, slot: Slot) -> tuple[str, int]:
        """Whose file it is, and for how many seconds it is kept; 0: as long as all are."""
        folder = folder_of(slot.path)
        if not folder:
            return slot.user, slot.keep
        most = (
            self._rules.keeps
        )  # its owner has signed it himself: he may say nothing of others, nor more than holds for all
        return folder, min(slot.keep, most) if most else slot.keep

    @staticmethod
    def _told_size(exchange: Exchange) -> int:
        headers = exchange.headers
        if is_chunked(headers):
            length = drafts.number(headers, TOTAL)
            return UNKNOWN if length is None else length
        if _in_parts(exchange):
            said = exchange.query.get(SIZE, "")
            return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else UNKNOWN
        length = drafts.number(headers, "upload-length")
        if length is not None:
            return length
        partly = drafts.dialect(headers).complete(headers) is False or tus.speaks(headers)
        if exchange.verb in ("PUT", "POST") and exchange.length is not None and not partly:
            return exchange.length
        return UNKNOWN

    async def _delete(self, visit: Visit) -> None:
        if visit.record is None or visit.record.completed_at:
            raise SlotRefused(404, "no upload has begun here")
        if not await self._shelf.let_go(visit.record):
            raise SlotRefused(404, "no upload has begun here")
        more = {"Tus-Resumable": tus.VERSION} if tus.speaks(visit.headers) else {}
        visit.exchange.answer(204, {**CORS, **more})

    async def _put(self, visit: Visit) -> None:
        """The whole file at once; of a cut one the bytes are kept, and it may be put again."""
        exchange, record = visit.exchange, await visit.begun(self._shelf)
        if record.size == OPEN:
            raise SlotRefused(409, "this one goes on with PATCH: its size was not told")
        if record.completed_at:
            raise SlotRefused(409, "the file is here already")
        if "content-range" in visit.headers:
            raise SlotRefused(400, "a part cannot be PUT: resume with PATCH")
        if exchange.length is not None and exchange.length != record.size:
            raise SlotRefused(413, f"the slot is for a file of {record.size} bytes")
        try:
            length = await self._shelf.write(exchange, record, 0)
        except Overrun:
            raise SlotRefused(413, f"the slot is for a file of {record.size} bytes") from None
        if length < record.size:
            raise SlotRefused(400, f"the file has {record.size} bytes: {length} came")
        exchange.answer(201, CORS)
