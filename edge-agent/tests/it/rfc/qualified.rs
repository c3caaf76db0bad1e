//! `private` and `no-cache` with field names (RFC 9111 sections 5.2.2.4 and 5.2.2.7): what they name stays behind, the rest may be reused.

use crate::support::scenario::{cached, check, fetch, get, not_modified, scenario};

#[test]
fn a_named_field_is_not_reused() {
    check(
        [
            "max-age=60, private=\"x-secret\"",
            "max-age=60, private=\"X-Secret\"",
            "max-age=60, private=\"x-other, x-secret\"",
            "max-age=60, private=x-secret",
            "max-age=60, no-cache=\"x-secret\"",
            "max-age=60, no-cache=\"x-other,X-SECRET\"",
            "max-age=60, no-cache=x-secret",
            "private=\"x-secret\", max-age=60, no-cache=\"x-other\"",
        ]
        .map(|directives| {
            let headers = format!("cache-control: {directives}\nx-secret: s\nx-public: p");
            let without = format!("cache-control: {directives}\nx-public: p");
            scenario(
                format!("9111 5.2.2.4, 5.2.2.7: {directives}"),
                [
                    fetch(&headers, "one").has("x-secret: s"),
                    // From the cache or not: in either case without the field.
                    get()
                        .origin(&without, "one")
                        .or_cached()
                        .gives(200, "one")
                        .lacks("x-secret")
                        .has("x-public: p"),
                ],
            )
        }),
    );
}

#[test]
fn the_rest_is_reused() {
    check(["private=\"set-cookie\"", "no-cache=\"set-cookie\""].map(|directive| {
        scenario(
            format!("9111 5.2.2.4, 5.2.2.7: what {directive} does not name"),
            [
                fetch(
                    &format!("cache-control: max-age=60, {directive}\nset-cookie: a=1\nx-public: p"),
                    "one",
                )
                .has("set-cookie: a=1"),
                cached("one").lacks("set-cookie").has("x-public: p"),
            ],
        )
    }));
}

#[test]
fn no_cache_beside_a_qualified_one_counts_whole() {
    check([scenario(
        "9111 5.2.2.4: the unqualified form",
        [
            fetch("cache-control: max-age=60, no-cache=\"x-a\", no-cache", "one"),
            fetch("cache-control: max-age=60, no-cache=\"x-a\", no-cache", "two"),
        ],
    )]);
}

#[test]
fn a_named_field_comes_with_validation() {
    check([scenario(
        "9111 5.2.2.4: no field without successful validation, but with it",
        [
            fetch("cache-control: max-age=60, no-cache=\"x-secret\"\netag: \"e\"\nx-secret: 1", "one"),
            not_modified("cache-control: max-age=60, no-cache=\"x-secret\"\netag: \"e\"\nx-secret: 2", "one")
                .after(70)
                .sent("if-none-match: \"e\"")
                .has("x-secret: 2"),
            cached("one").lacks("x-secret"),
        ],
    )]);
}
