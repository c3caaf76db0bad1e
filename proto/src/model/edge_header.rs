//! The request headers that edges add: what is known about a viewer beside what it says (CloudFront guide, "Add CloudFront request
//! headers").

use http::HeaderName;

/// What the names of all of them begin with. What a viewer sends under such a name is forged.
pub const EDGE_HEADER_PREFIX: &str = "cloudfront-";

macro_rules! edge_headers {
    ($($variant:ident $name:literal $meaning:literal,)*) => {
        /// A request header that edges add.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum EdgeHeader {
            $(#[doc = $meaning] $variant,)*
        }

        impl EdgeHeader {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name, in lower case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Its name.
            #[must_use]
            pub fn name(self) -> HeaderName {
                match self {
                    $(Self::$variant => const { HeaderName::from_static($name) },)*
                }
            }
        }
    };
}

edge_headers! {
    ForwardedProto "cloudfront-forwarded-proto" "The scheme the viewer came by.",
    IsAndroidViewer "cloudfront-is-android-viewer" "Whether its User-Agent is that of Android.",
    IsDesktopViewer "cloudfront-is-desktop-viewer" "Whether its User-Agent is that of none of the devices below.",
    IsIosViewer "cloudfront-is-ios-viewer" "Whether its User-Agent is that of iOS.",
    IsMobileViewer "cloudfront-is-mobile-viewer" "Whether its User-Agent is that of a phone, or says Mobile.",
    IsSmartTvViewer "cloudfront-is-smarttv-viewer" "Whether its User-Agent is that of a television.",
    IsTabletViewer "cloudfront-is-tablet-viewer" "Whether its User-Agent is that of a tablet.",
    ViewerAddress "cloudfront-viewer-address" "Its address and port.",
    ViewerAsn "cloudfront-viewer-asn" "The number of the network (autonomous system) that its address belongs to.",
    ViewerCity "cloudfront-viewer-city" "The name of the city it is in.",
    ViewerCountry "cloudfront-viewer-country" "The code of the country it is in (ISO 3166-1 alpha-2).",
    ViewerCountryName "cloudfront-viewer-country-name" "The name of that country.",
    ViewerCountryRegion "cloudfront-viewer-country-region" "The code of the region it is in (the end of one of ISO 3166-2).",
    ViewerCountryRegionName "cloudfront-viewer-country-region-name" "The name of that region.",
    ViewerHeaderCount "cloudfront-viewer-header-count" "How many headers its request has.",
    ViewerHeaderOrder "cloudfront-viewer-header-order" "Their names, in their order.",
    ViewerHttpVersion "cloudfront-viewer-http-version" "The version of HTTP that it speaks.",
    ViewerLatitude "cloudfront-viewer-latitude" "About where it is, in degrees.",
    ViewerLongitude "cloudfront-viewer-longitude" "About where it is, in degrees.",
    ViewerMetroCode "cloudfront-viewer-metro-code" "The code of its metropolitan area, in the United States.",
    ViewerPostalCode "cloudfront-viewer-postal-code" "Its postal code.",
    ViewerTimeZone "cloudfront-viewer-time-zone" "Its time zone, by its IANA name.",
}

/// Headers of CloudFront's that tell of a viewer's TLS, which edges do not speak.
const OF_TLS: [&str; 3] =
    ["cloudfront-viewer-tls", "cloudfront-viewer-ja3-fingerprint", "cloudfront-viewer-ja4-fingerprint"];

impl EdgeHeader {
    /// The one with this name.
    #[must_use]
    pub fn of(name: &HeaderName) -> Option<Self> {
        if !is_edge_header_name(name) {
            return None;
        }
        Self::ALL.iter().copied().find(|header| header.as_str() == name.as_str())
    }

    /// Whether it may tell objects apart. Some have as many values as there are viewers (CloudFront guide, "Add CloudFront request
    /// headers").
    #[must_use]
    pub fn is_keyable(self) -> bool {
        !matches!(self, Self::ViewerAddress | Self::ViewerAsn)
    }

    /// Whether it is read from a database of where addresses are.
    #[must_use]
    pub fn is_about_the_place(self) -> bool {
        matches!(
            self,
            Self::ViewerCity
                | Self::ViewerCountry
                | Self::ViewerCountryName
                | Self::ViewerCountryRegion
                | Self::ViewerCountryRegionName
                | Self::ViewerLatitude
                | Self::ViewerLongitude
                | Self::ViewerMetroCode
                | Self::ViewerPostalCode
                | Self::ViewerTimeZone
        )
    }
}

/// Whether a name is one of those that only edges may use.
#[must_use]
pub fn is_edge_header_name(name: &HeaderName) -> bool {
    name.as_str().starts_with(EDGE_HEADER_PREFIX)
}

/// Why a policy cannot name this header, if it is one of CloudFront's that no edge adds.
pub(super) fn not_made(name: &HeaderName) -> Option<String> {
    if !is_edge_header_name(name) || EdgeHeader::of(name).is_some() {
        return None;
    }
    Some(match OF_TLS.contains(&name.as_str()) {
        true => {
            format!("{name} tells of TLS, which edges do not speak to viewers in this version; remove it")
        }
        false => format!("{name} is not a header that edges add; remove it"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name() {
        for header in EdgeHeader::ALL {
            assert_eq!(EdgeHeader::of(&header.name()), Some(*header));
            assert_eq!(header.name().as_str(), header.as_str());
            assert_eq!(not_made(&header.name()), None);
        }
        for name in ["host", "cloudfront", "x-cloudfront-viewer-country"] {
            let name = HeaderName::from_static(name);
            assert_eq!((EdgeHeader::of(&name), not_made(&name)), (None, None), "{name}");
        }
        let tls = not_made(&HeaderName::from_static("cloudfront-viewer-tls")).expect("a reason");
        assert!(tls.contains("TLS"), "{tls}");
        assert!(not_made(&HeaderName::from_static("cloudfront-viewer-mood")).is_some());
    }
}
