//! What kind of device a viewer uses, as its User-Agent has it: a few words that vendors put there for that purpose. Whoever says nothing
//! of the kind, a program or a robot too, counts as a desktop.

use http::HeaderValue;

/// Words of televisions, and of boxes that make one of a screen.
const TELEVISIONS: [&str; 15] = [
    "android tv",
    "apple tv",
    "appletv",
    "bravia",
    "crkey",
    "googletv",
    "hbbtv",
    "netcast",
    "philipstv",
    "roku",
    "smart-tv",
    "smarttv",
    "tizen tv",
    "viera",
    "web0s",
];
/// Words of phones beside "mobile".
const PHONES: [&str; 7] = ["blackberry", "bb10", "iemobile", "iphone", "ipod", "opera mini", "windows phone"];
/// Words of tablets.
const TABLETS: [&str; 5] = ["ipad", "kindle", "playbook", "silk/", "tablet"];

/// What a User-Agent says of a device. Several may be so: some tablets say that they are mobile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Device {
    pub(super) android: bool,
    pub(super) ios: bool,
    pub(super) mobile: bool,
    pub(super) smart_tv: bool,
    pub(super) tablet: bool,
}

impl Device {
    pub(super) fn of(user_agent: Option<&HeaderValue>) -> Self {
        let text = user_agent.map_or(&b""[..], HeaderValue::as_bytes).to_ascii_lowercase();
        let has = |word: &str| memchr::memmem::find(&text, word.as_bytes()).is_some();
        let any = |words: &[&str]| words.iter().any(|word| has(word));
        let android = has("android");
        let ios = any(&["iphone", "ipad", "ipod"]);
        // Fire TVs name their model, which begins so.
        let smart_tv = any(&TELEVISIONS) || android && has("; aft") || has("tizen") && has("tv");
        if smart_tv {
            return Self { android, ios, smart_tv, ..Self::default() };
        }
        let says_mobile = has("mobile");
        // Phones with Android say Mobile; tablets do not.
        let tablet = any(&TABLETS) && !has("iphone") || android && !says_mobile && !any(&PHONES);
        Self { android, ios, mobile: says_mobile || any(&PHONES), smart_tv, tablet }
    }

    pub(super) fn is_desktop(self) -> bool {
        !self.mobile && !self.smart_tv && !self.tablet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds that a User-Agent stands for: a letter for each that is so.
    fn check(user_agent: &'static str, expected: &str) {
        let device = Device::of(Some(&HeaderValue::from_static(user_agent)));
        let kinds = [
            (device.android, 'a'),
            (device.is_desktop(), 'd'),
            (device.ios, 'i'),
            (device.mobile, 'm'),
            (device.smart_tv, 's'),
            (device.tablet, 't'),
        ];
        let kinds: String = kinds.into_iter().filter_map(|(is_so, letter)| is_so.then_some(letter)).collect();
        assert_eq!(kinds, expected, "{user_agent}");
    }

    #[test]
    fn a_user_agent_tells_what_it_runs_on() {
        check("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "d");
        check(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36",
            "d",
        );
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1",
            "im",
        );
        check("Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) Version/16.0 Mobile/15E148 Safari/604.1", "imt");
        check("Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/140.0.0.0 Mobile Safari/537.36", "am");
        check("Mozilla/5.0 (Linux; Android 13; SM-X700) Chrome/140.0.0.0 Safari/537.36", "at");
        check("Mozilla/5.0 (Linux; Android 9; AFTMM Build/PS7) AppleWebKit/537.36 Chrome/70.0", "as");
        check("Mozilla/5.0 (Linux; Android 12; BRAVIA 4K VH2) Chrome/140.0.0.0 Safari/537.36", "as");
        check("Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 Chrome/94.0 Safari/537.36", "s");
        check(
            "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 Version/6.0 TV Safari/537.36",
            "s",
        );
        check("Mozilla/5.0 (Linux; Tizen 2.3; SAMSUNG SM-Z130H) AppleWebKit/537.3 Mobile Safari/537.3", "m");
        check("Opera/9.80 (J2ME/MIDP; Opera Mini/9.80) Presto/2.5.25 Version/10.54", "m");
        check("curl/8.14.1", "d");
        assert!(Device::of(None).is_desktop());
    }
}
