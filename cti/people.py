"""The people page: who may log in, of one's own unit and those below; added, changed, given a password, shut out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from campaigns.config import CampaignsError
from campaigns.passwords import WeakPassword
from campaigns.people import BadUser, People, Person, served
from campaigns.rights import RIGHTS, Role
from campaigns.second_factor import turn_off
from campaigns.units import Units
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.front import Front, home_of
from cti.wire import PHONE

FIELDS = 10


def grantable(user: User) -> list[Role]:
    """The roles that this user can give: those whose rights they have themselves."""
    own = RIGHTS[Role(user.role)]
    return [role for role in Role if RIGHTS[role] <= own]


class PeopleDesk(Desk):
    """The page and its forms. Whom the asker may not keep is as if they were not there."""

    def __init__(self, front: Front, stored: Stored) -> None:
        super().__init__(stored, "people")
        self._front = front

    async def page(self, request: Request, user: User) -> Response:
        """GET /people"""
        return await self._shown(request, user)

    async def add(self, request: Request, user: User) -> Response:
        """POST /people: somebody new, in a unit of the asker's."""
        form = await self._front.form(request, FIELDS)
        people = People(self.acting(request, user))

        def adding() -> None:
            self._allowed(user, form.get("role", ""), form.get("unit", ""))
            campaigns = self._served(user, form.get("campaigns", ""), ())
            login, name = form.get("login", "").strip(), form.get("name", "").strip()
            if not name or not form.get("password"):
                raise Refusal(400, "incomplete")
            phone = self._phone(user, form.get("phone", "").strip())
            people.add(form["unit"], login, name, form["role"], form["password"], phone, campaigns)

        return await self._tried(request, user, adding)

    async def change(self, request: Request, user: User) -> Response:
        """POST /people/change: role, unit, campaigns, or whether they may log in."""
        form = await self._front.form(request, FIELDS)
        people = People(self.acting(request, user))

        def changing() -> None:
            person = self._kept(user, form.get("login", ""))
            self._allowed(user, form.get("role", ""), form.get("unit", ""))
            campaigns = self._served(user, form.get("campaigns", ""), person.user.campaigns)
            people.change(
                person.user.login,
                role=form["role"],
                unit=form["unit"],
                campaigns=campaigns,
                enabled=form.get("enabled") == "1",
            )

        return await self._tried(request, user, changing)

    async def reset(self, request: Request, user: User) -> Response:
        """POST /people/reset: a new password; with `factor` the second factor goes, too."""
        form = await self._front.form(request, FIELDS)
        engine = self.acting(request, user)

        def resetting() -> None:
            person = self._kept(user, form.get("login", ""))
            People(engine).set_password(person.user.login, form.get("password", ""))
            if form.get("factor") == "1":
                turn_off(engine, person.user.login)

        return await self._tried(request, user, resetting)

    # --- within -----------------------------------------------------------------------------------------------

    def _kept(self, user: User, login: str) -> Person:
        """Somebody whom the user may keep: of their units, with no right that they have not, and not themselves."""
        for person in People(self._stored.engine).list(None if user.sees_all else user.unit_id):
            if person.user.login == login:
                if person.user.user_id == user.user_id or Role(person.user.role) not in grantable(user):
                    raise Refusal(403, "not_yours")
                return person
        raise Refusal(404, "nobody")

    def _allowed(self, user: User, role: str, unit: str) -> None:
        if role not in grantable(user):
            raise Refusal(403, "role")
        if unit not in self._units(user):
            raise Refusal(403, "unit")

    @staticmethod
    def _served(user: User, given: str, were: tuple[str, ...]) -> list[str]:
        """The campaigns of a form's field, with commas between: of those the user sees, or that were there before."""
        wanted = given.replace("，", ",").replace("：", ":").split(",")
        try:
            names, _ = served(wanted)
        except BadUser as fault:
            raise Refusal(400, "rank") from fault
        if not all(user.sees(name) or name in were for name in names):
            raise Refusal(403, "campaign")
        return wanted

    def _phone(self, user: User, phone: str) -> str:
        """A phone that the user may give: those who work in turns share one, but nobody's of other units.

        By it the page of who has it registers with the switch, and is rung in the place of any other one.
        """
        if phone and not PHONE.fullmatch(phone):
            raise Refusal(400, "phone")
        units = self._units(user)
        if phone and any(
            each.user.phone == phone and each.unit not in units for each in People(self._stored.engine).list()
        ):
            raise Refusal(400, "phone_taken")
        return phone

    def _units(self, user: User) -> list[str]:
        """The paths of the asker's unit and of all below it."""
        return [each.path for each in Units(self._stored.engine).below(user.unit_id)]

    async def _tried(self, request: Request, user: User, work: Callable[[], None]) -> Response:
        def working() -> None:
            try:
                work()
            except WeakPassword as fault:
                raise Refusal(400, f"password_{fault.code}") from fault
            except CampaignsError as fault:
                raise Refusal(400, "refused", str(fault)) from fault

        try:
            await self.run(working)
        except Refusal as refusal:
            return await self._shown(request, user, refusal)
        return RedirectResponse("/people?done=1", 303)

    async def _shown(self, request: Request, user: User, refusal: Refusal | None = None) -> Response:
        def read() -> dict[str, Any]:
            people = People(self._stored.engine).list(None if user.sees_all else user.unit_id)
            return {"people": people, "units": self._units(user)}

        roles = grantable(user)
        return self._front.page(
            request,
            "people.html",
            refusal.status if refusal is not None else 200,
            user=user,
            home=home_of(user),
            roles=roles,
            problem=f"people.bad_{refusal.code}" if refusal is not None else "",
            detail=refusal.detail if refusal is not None else "",
            done=request.query_params.get("done") == "1" and refusal is None,
            **await self.run(read),
        )
