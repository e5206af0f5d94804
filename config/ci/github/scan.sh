#!/usr/bin/env bash
# The scan of the action. Everything that a pull request can write (names of branches, the baseline) is data here.
# Ends with the exit code of the scan: 1 findings, 6 something could not be looked at.
set -euo pipefail
PATH="$RUNNER_TEMP/clawsecrets/bin:$PATH"

words=(scan "$KIND")
if [ "$KIND" = git ] && [ -n "$COMMITS" ]; then
    words+=("--commits=$COMMITS")
fi

# A pull request could bring its own baseline: the one of the branch that it goes to counts.
if [ -n "${GITHUB_BASE_REF:-}" ]; then
    baseline="$RUNNER_TEMP/clawsecrets-baseline"
    if git rev-parse --verify --quiet --end-of-options "refs/remotes/origin/$GITHUB_BASE_REF^{commit}" >/dev/null; then
        if git cat-file blob "refs/remotes/origin/$GITHUB_BASE_REF:.clawsecrets-baseline" >"$baseline" 2>/dev/null; then
            words+=("--baseline=$baseline")
        else
            words+=(--no-baseline)
        fi
    else
        echo "::warning title=clawsecrets::the branch $(printf %q "$GITHUB_BASE_REF" | tr -d '\r\n') is not here: check out with fetch-depth 0; no baseline is used"
        words+=(--no-baseline)
    fi
fi

code=0
clawsecrets "${words[@]}" --format github "$PLACE" || code=$?
if [ -n "$SARIF" ]; then
    clawsecrets "${words[@]}" --format sarif --output "$SARIF" "$PLACE" || [ "$?" = "$code" ]
fi
exit "$code"
