//! The types of content that are compressed.

use http::HeaderValue;

/// CloudFront guide, "File types that CloudFront compresses".
const COMPRESSIBLE: [&str; 46] = [
    "application/dash+xml",
    "application/eot",
    "application/font",
    "application/font-sfnt",
    "application/javascript",
    "application/json",
    "application/opentype",
    "application/otf",
    "application/pkcs7-mime",
    "application/protobuf",
    "application/rss+xml",
    "application/truetype",
    "application/ttf",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-font-opentype",
    "application/x-font-truetype",
    "application/x-font-ttf",
    "application/x-httpd-cgi",
    "application/x-javascript",
    "application/x-mpegurl",
    "application/x-opentype",
    "application/x-otf",
    "application/x-perl",
    "application/x-ttf",
    "application/xhtml+xml",
    "application/xml",
    "font/eot",
    "font/opentype",
    "font/otf",
    "font/ttf",
    "image/svg+xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/js",
    "text/plain",
    "text/richtext",
    "text/tab-separated-values",
    "text/x-component",
    "text/x-java-source",
    "text/x-script",
    "text/xml",
    "vnd.apple.mpegurl",
];

/// Whether content of this type is compressed. Parameters and case do not count.
pub(super) fn is_compressible(content_type: &HeaderValue) -> bool {
    let name = content_type.as_bytes().split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    COMPRESSIBLE.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_compressible_and_pictures_are_not() {
        let check = |value: &'static str, expected: bool| {
            assert_eq!(is_compressible(&HeaderValue::from_static(value)), expected, "{value}");
        };
        check("text/html", true);
        check("Text/HTML ; charset=utf-8", true);
        check("application/json;profile=\"a;b\"", true);
        check("image/svg+xml", true);
        check("image/png", false);
        check("text/htmlx", false);
        check("text/html, text/plain", false);
        check("application/octet-stream", false);
        check("", false);
    }

    #[test]
    fn the_table_is_sorted_and_in_lower_case() {
        assert!(COMPRESSIBLE.is_sorted_by(|a, b| a < b));
        assert!(COMPRESSIBLE.iter().all(|name| *name == name.to_ascii_lowercase()));
    }
}
