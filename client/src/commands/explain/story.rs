//! An edge's answer as people read it: one sentence first, then what led to it.

use headland::spec::{ExplainedVerdict, ExplanationDocument, FreshnessSum, StoredVariant, VaryField};

use crate::output::{Table, plain};

/// The whole story.
pub(super) fn tell(told: &ExplanationDocument) -> String {
    let mut text = sentence(told);
    if let Some(line) = &told.cache_status {
        text.push_str(&format!("\ncache-status: {}", plain(line)));
    }
    section(&mut text, "Request", &request(told));
    if told.distribution.is_some() {
        section(&mut text, "Distribution", &distribution(told));
    }
    if let Some(key) = &told.key {
        let mut table = Table::of_fields();
        for part in &key.parts {
            table.row(&[&words(part.kind, &part.name), &part.value]);
        }
        table.row(&[&"hash", &key.hash]);
        section(&mut text, "Cache key", &table);
        if told.variants.is_empty() && told.variants_omitted == 0 {
            text.push_str("\n\nStored\n  nothing");
        }
    }
    let many = told.variants.len() + told.variants_omitted as usize;
    for (i, variant) in told.variants.iter().enumerate() {
        let title = format!("Stored, {} of {many}: {}", i + 1, title(variant));
        section(&mut text, &title, &stored(variant));
    }
    if told.variants_omitted > 0 {
        text.push_str(&format!("\n\nand {} more", told.variants_omitted));
    }
    text
}

fn sentence(told: &ExplanationDocument) -> String {
    let edge = &told.edge;
    let name = if edge.location.is_empty() {
        format!("edge {}", edge.id)
    } else {
        format!("edge {} ({})", edge.location, edge.id)
    };
    let act = match told.verdict {
        ExplainedVerdict::Unknown => "cannot tell",
        ExplainedVerdict::Hit => "would answer with a HIT",
        ExplainedVerdict::Stale => "would answer with a STALE object",
        ExplainedVerdict::Revalidate => "would REVALIDATE what it has with the origin",
        ExplainedVerdict::Miss => "would ask the origin, a MISS",
        ExplainedVerdict::Bypass => "would BYPASS its cache and ask the origin",
        ExplainedVerdict::Refused => "would answer with an error, REFUSED",
        ExplainedVerdict::Answered => "would answer by itself",
    };
    let status = told.status.map(|status| format!(", status {status}")).unwrap_or_default();
    plain(&format!("{name} {act}{status}: {} ({})", told.detail, told.reason))
}

fn section(text: &mut String, title: &str, table: &Table) {
    text.push_str(&format!("\n\n{}", plain(title)));
    for line in table.to_string().lines() {
        text.push_str(&format!("\n  {line}"));
    }
}

fn words(kind: &str, name: &str) -> String {
    if name.is_empty() { kind.to_owned() } else { format!("{kind} {name}") }
}

fn request(told: &ExplanationDocument) -> Table {
    let request = &told.request;
    let mut table = Table::of_fields();
    table.row(&[&"method", &request.method]);
    table.row(&[&"host", &request.host]);
    table.row(&[&"path", &request.path]);
    if let Some(query) = &request.query {
        table.row(&[&"query", query]);
    }
    if let Some(address) = &told.viewer.address {
        let country = told.viewer.country.as_deref().unwrap_or("in no country that the edge knows");
        table.row(&[&"viewer", &format!("{address}, {country}, by {}", told.viewer.scheme)]);
    }
    if told.behavior.is_some() {
        table.row(&[&"forwarded_query", &request.forwarded_query.as_deref().unwrap_or_default()]);
    }
    table
}

fn distribution(told: &ExplanationDocument) -> Table {
    let mut table = Table::of_fields();
    if let Some(distribution) = &told.distribution {
        table.row(&[&"id", &distribution.id]);
        table.row(&[&"enabled", &distribution.enabled]);
        let applied = told.applied_revision;
        table.row(&[&"revision", &format!("{} (the edge has applied {applied})", distribution.revision)]);
    }
    if let Some(behavior) = &told.behavior {
        let place = match behavior.index {
            Some(index) => format!("cache_behaviors[{index}], {}", behavior.path_pattern),
            None => "default_cache_behavior".to_owned(),
        };
        table.row(&[&"behavior", &place]);
        table.row(&[&"origin", &behavior.target_origin_id]);
        table.row(&[&"semantics", &behavior.semantics]);
        if !behavior.trusted_key_group_ids.is_empty() {
            table.row(&[&"trusted_key_groups", &behavior.trusted_key_group_ids.join(", ")]);
        }
    }
    if told.origin_down {
        table.row(&[&"origin_state", &"known to be down: what may be served without it is"]);
    }
    table
}

fn title(variant: &StoredVariant) -> String {
    let differs: Vec<&str> = variant.vary.iter().filter(|f| !f.matches).map(|f| f.name.as_str()).collect();
    match (variant.selected, differs.as_slice()) {
        (true, _) => "selected".to_owned(),
        (false, []) => "not selected".to_owned(),
        (false, names) => format!("differs in {}", names.join(", ")),
    }
}

fn stored(variant: &StoredVariant) -> Table {
    let mut table = Table::of_fields();
    table.row(&[&"status", &variant.status]);
    table.row(&[&"body", &format!("{} bytes", variant.body_bytes)]);
    if variant.blocks > 0 {
        table.row(&[&"blocks", &variant.blocks]);
    }
    if !variant.reuse.is_empty() {
        table.row(&[&"reuse", &variant.reuse]);
    }
    for (name, value) in [
        ("cache_control", &variant.cache_control),
        ("etag", &variant.etag),
        ("last_modified", &variant.last_modified),
    ] {
        table.row(&[&name, value]);
    }
    for field in &variant.vary {
        table.row(&[&format!("vary {}", field.name), &compared(field)]);
    }
    freshness(&variant.freshness, &mut table);
    let conditions = [
        (variant.must_revalidate, "not without asking the origin (must-revalidate)"),
        (variant.no_cache, "only after asking the origin (no-cache)"),
    ];
    for (_, condition) in conditions.iter().filter(|(holds, _)| *holds) {
        table.row(&[&"stale_use", condition]);
    }
    let windows = &variant.stale;
    for (window, left) in [
        ("while it is revalidated", windows.while_revalidate_left_seconds),
        ("if the origin answers with an error", windows.if_error_left_seconds),
        ("if the origin cannot be reached", windows.if_unreachable_left_seconds),
        ("as the origin failed a moment ago", windows.hold_left_seconds),
    ] {
        if let Some(left) = left.filter(|left| !left.is_negative()) {
            table.row(&[&"stale_use", &format!("{window}, for another {left}")]);
        }
    }
    if windows.on_request {
        table.row(&[&"stale_use", &"if the request asks for it (max-stale)"]);
    }
    if !variant.kept_until.is_empty() {
        table.row(&[&"kept_until", &variant.kept_until]);
    }
    table
}

fn compared(field: &VaryField) -> String {
    let values = |values: &[String]| match values {
        [] => "absent".to_owned(),
        values => values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(", "),
    };
    let (stored, asked) = (values(&field.stored_values), values(&field.request_values));
    if field.matches {
        format!("{asked}: the same")
    } else {
        format!("{stored} stored, {asked} asked for: differs")
    }
}

/// The sums, as far as the edge knows them.
fn freshness(sum: &FreshnessSum, table: &mut Table) {
    if let Some(date) = &sum.date {
        table.row(&[&"date", date]);
    }
    if let Some(received) = &sum.receive_time {
        table.row(&[&"received", received]);
    }
    if let Some(initial) = sum.corrected_initial_age_seconds {
        let mut parts = Vec::new();
        parts.extend(sum.apparent_age_seconds.map(|age| format!("{age} after Date")));
        parts.extend(sum.age_value_seconds.map(|age| format!("Age {age}")));
        parts.extend(sum.response_delay_seconds.map(|delay| format!("{delay} on the way")));
        let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        table.row(&[&"initial_age", &format!("{initial}{parts}")]);
    }
    if let (Some(age), Some(resident)) = (sum.current_age_seconds, sum.resident_time_seconds) {
        table.row(&[&"age", &format!("{age}, of which {resident} here")]);
    }
    if let Some(lifetime) = sum.lifetime_seconds {
        let since = if sum.initial_age_counts { "since the origin made it" } else { "since it was received" };
        let said = sum.origin_lifetime_seconds.filter(|said| *said != lifetime);
        let said = said.map(|said| format!("; the origin said {said}")).unwrap_or_default();
        table.row(&[&"lifetime", &format!("{lifetime} {since}, by {}{said}", sum.lifetime_source)]);
    }
    if let Some(left) = sum.left_seconds {
        let left = if left.is_negative() { format!("stale for {}", left.abs()) } else { left.to_string() };
        table.row(&[&"left", &left]);
    }
    if sum.purged {
        table.row(&[&"purged", &"before its time was over"]);
    }
}

#[cfg(test)]
mod tests;
