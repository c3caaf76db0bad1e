"""What was checked and what was wrong with it."""

from collections.abc import Callable, Iterable


class Report:
    """Collects failures, and prints a line for each thing checked."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.checked = 0

    def result(self, what: str, problems: Iterable[str]) -> None:
        """One thing was checked; `problems` is what is wrong with it."""
        problems = list(problems)
        self.checked += 1
        print(f"{'not ok' if problems else 'ok':6} {what}")
        for problem in problems:
            print(f"         {problem}")
            self.failures.append(f"{what}: {problem}")

    def refused(self, what: str, check: Callable[[], Iterable[str]], because: str) -> None:
        """A case made wrong on purpose: the check must object, with these words. It proves that the check works."""
        problems = list(check())
        if any(because in problem for problem in problems):
            self.result(f"refused: {what}", [])
        else:
            self.result(f"refused: {what}", [f"no problem mentions {because!r}; found: {problems}"])

    def left_out(self, what: str, why: str) -> None:
        """Something that cannot be checked on this machine, and does not have to be."""
        print(f"{'--':6} {what}: not checked, {why}")

    def finish(self) -> int:
        print(f"{self.checked} checked, {len(self.failures)} wrong")
        return 1 if self.failures else 0
