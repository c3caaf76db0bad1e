//! The CloudFront-* request headers: what the edge knows about a viewer, put into its request where the behavior's policies name it. From
//! there on it is a header like others, in the key and to the origin, but for that no viewer can forge it.

mod device;

use headland_proto::model::{EdgeHeader, is_edge_header_name};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Version, header};

use self::device::Device;
use crate::{
    geo::{Locations, Place},
    origin::request::version_text,
    peers::FromPeer,
    routing::Table,
    viewer::{request, who::Viewer},
};

/// Bytes of CloudFront-Viewer-Header-Order. CloudFront: 7,680.
const ORDER_BYTES_MAX: usize = 7680;

/// Puts those that are named into a request, in place of whatever the viewer sent under such names.
pub(crate) fn put<B>(request: &mut Request<B>, table: &Table, viewer: Viewer, locations: &Locations) {
    // An edge that asks another has put them in already.
    if !table.has_edge_headers() || request.extensions().get::<FromPeer>().is_some() {
        return;
    }
    let behavior = request::admit(request).ok().and_then(|target| {
        let distribution = table.distribution(&target.host)?;
        Some(std::sync::Arc::clone(distribution.behavior(distribution.object_for(target.path))))
    });
    let Some(behavior) = behavior.filter(|behavior| !behavior.edge_headers.is_empty()) else {
        return;
    };
    let made = make(&behavior.edge_headers, request.headers(), request.version(), viewer, locations);
    let headers = request.headers_mut();
    let forged: Vec<HeaderName> = headers.keys().filter(|name| is_edge_header_name(name)).cloned().collect();
    forged.iter().for_each(|name| _ = headers.remove(name));
    headers.extend(made);
}

/// Makes those that are wished, of a request with these headers. What is not known is not there.
fn make(
    wished: &[EdgeHeader],
    headers: &HeaderMap,
    version: Version,
    viewer: Viewer,
    locations: &Locations,
) -> HeaderMap {
    let ip = viewer.address.ip();
    let device = Device::of(headers.get(header::USER_AGENT));
    let mut made = HeaderMap::with_capacity(wished.len());
    let mut add = |header: EdgeHeader, value: Option<String>| {
        // A name may have letters that are not ASCII's.
        let value = value.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok());
        made.extend(value.map(|value| (header.name(), value)));
    };
    let (of_place, others): (Vec<EdgeHeader>, Vec<EdgeHeader>) =
        wished.iter().copied().partition(|header| header.is_about_the_place());
    for header in others {
        let value = match header {
            EdgeHeader::ForwardedProto => Some(viewer.scheme.as_str().to_owned()),
            EdgeHeader::IsAndroidViewer => Some(device.android.to_string()),
            EdgeHeader::IsDesktopViewer => Some(device.is_desktop().to_string()),
            EdgeHeader::IsIosViewer => Some(device.ios.to_string()),
            EdgeHeader::IsMobileViewer => Some(device.mobile.to_string()),
            EdgeHeader::IsSmartTvViewer => Some(device.smart_tv.to_string()),
            EdgeHeader::IsTabletViewer => Some(device.tablet.to_string()),
            // Without brackets: the port is what follows the last colon.
            EdgeHeader::ViewerAddress => Some(format!("{ip}:{}", viewer.address.port())),
            EdgeHeader::ViewerAsn => locations.network(ip).map(|number| number.to_string()),
            EdgeHeader::ViewerHeaderCount => {
                Some(own(headers).map(|(_, lines)| lines).sum::<usize>().to_string())
            }
            EdgeHeader::ViewerHeaderOrder => Some(order(headers)),
            EdgeHeader::ViewerHttpVersion => Some(version_text(version).to_owned()),
            _ => None,
        };
        add(header, value);
    }
    if !of_place.is_empty() {
        locations.place(ip, |place| of_place.into_iter().for_each(|header| add(header, told(place, header))));
    }
    made
}

/// What is known of a place.
fn told(place: &Place<'_>, header: EdgeHeader) -> Option<String> {
    match header {
        EdgeHeader::ViewerCity => place.city().map(str::to_owned),
        EdgeHeader::ViewerCountry => place.country().map(|country| country.to_string()),
        EdgeHeader::ViewerCountryName => place.country_name().map(str::to_owned),
        EdgeHeader::ViewerCountryRegion => place.region().map(str::to_owned),
        EdgeHeader::ViewerCountryRegionName => place.region_name().map(str::to_owned),
        EdgeHeader::ViewerLatitude => place.latitude().map(|degrees| degrees.to_string()),
        EdgeHeader::ViewerLongitude => place.longitude().map(|degrees| degrees.to_string()),
        EdgeHeader::ViewerMetroCode => place.metro_code().map(|code| code.to_string()),
        EdgeHeader::ViewerPostalCode => place.postal_code().map(str::to_owned),
        EdgeHeader::ViewerTimeZone => place.time_zone().map(str::to_owned),
        _ => None,
    }
}

/// The viewer's own headers, and how many lines each has.
fn own(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, usize)> {
    let names = headers.keys().filter(|name| !is_edge_header_name(name));
    names.map(|name| (name, headers.get_all(name).iter().count()))
}

/// The names of the viewer's own headers in the order in which they came first, as far as there is room.
fn order(headers: &HeaderMap) -> String {
    let mut order = String::new();
    for (name, _) in own(headers) {
        let name = name.as_str();
        if order.len() + 1 + name.len() > ORDER_BYTES_MAX {
            break;
        }
        if !order.is_empty() {
            order.push(':');
        }
        order.push_str(name);
    }
    order
}

#[cfg(test)]
mod tests {
    use headland_proto::model::Scheme;

    use super::*;

    fn check(
        sent: &[(&'static str, &'static str)],
        wished: &[EdgeHeader],
        viewer: &str,
        expected: &[(&str, &str)],
    ) {
        let mut headers = HeaderMap::new();
        sent.iter().for_each(|(name, value)| _ = headers.append(*name, HeaderValue::from_static(value)));
        let viewer = Viewer::new(viewer.parse().expect("address"), Scheme::Https);
        let made = make(wished, &headers, Version::HTTP_2, viewer, &Locations::default());
        let made: Vec<(&str, &str)> =
            made.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
        assert_eq!(made, expected, "{sent:?}");
    }

    #[test]
    fn what_needs_no_database_is_always_known() {
        let sent = [
            ("host", "a"),
            ("accept", "b"),
            ("x-y", "1"),
            ("x-y", "2"),
            ("cloudfront-viewer-city", "Forged"),
        ];
        let wished = [
            EdgeHeader::ViewerAddress,
            EdgeHeader::ForwardedProto,
            EdgeHeader::ViewerHttpVersion,
            EdgeHeader::ViewerHeaderCount,
            EdgeHeader::ViewerHeaderOrder,
            EdgeHeader::ViewerCity,
            EdgeHeader::ViewerAsn,
            EdgeHeader::IsDesktopViewer,
        ];
        let expected = [
            ("cloudfront-viewer-address", "192.0.2.1:4711"),
            ("cloudfront-forwarded-proto", "https"),
            ("cloudfront-viewer-http-version", "2.0"),
            ("cloudfront-viewer-header-count", "4"),
            ("cloudfront-viewer-header-order", "host:accept:x-y"),
            ("cloudfront-is-desktop-viewer", "true"),
        ];
        check(&sent, &wished, "192.0.2.1:4711", &expected);
        let address = [("cloudfront-viewer-address", "2001:db8::1:80")];
        check(&[], &[EdgeHeader::ViewerAddress], "[2001:db8::1]:80", &address);
    }

    #[test]
    fn the_order_of_headers_ends_where_there_is_no_more_room() {
        let mut headers = HeaderMap::new();
        for i in 0..200 {
            let name = format!("x-{i:0>60}").parse::<HeaderName>().expect("name");
            headers.insert(name, HeaderValue::from_static("1"));
        }
        let order = order(&headers);
        assert!(order.len() <= ORDER_BYTES_MAX && order.len() > ORDER_BYTES_MAX - 63);
        assert!(order.split(':').all(|name| name.len() == 62), "none is cut in two");
    }
}
