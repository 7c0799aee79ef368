//! Proxies in front of us, and who stands behind them.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// Whose word counts on where a request came from. Without any, nobody's: the address is that of who is connected.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Addresses and networks. The error is the one that is neither.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let parse = |text: &String| {
            let text = text.trim();
            text.parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| text.to_owned())
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }

    /// The last address of `X-Forwarded-For` that no trusted proxy has: what stands before it anybody may have written.
    pub(crate) fn client(&self, connected: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = connected;
        if !self.trusts(client) {
            return client;
        }
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
        for text in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Ok(address) = text.trim().parse::<IpAddr>() else { break };
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], connected: &str, forwarded: &[&'static str]) -> String {
        let trusted: Vec<String> = trusted.iter().map(|text| (*text).to_owned()).collect();
        let proxies = TrustedProxies::parse(&trusted).expect("networks");
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        proxies.client(connected.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_came_from() {
        let own = "10.0.0.0/8";
        assert_eq!(client(&[], "10.0.0.1", &["203.0.113.9"]), "10.0.0.1");
        assert_eq!(client(&[own], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client(&[own], "10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&[own], "10.0.0.1", &["198.51.100.7, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(client(&[own], "10.0.0.1", &["198.51.100.7", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&[own], "10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert!(TrustedProxies::parse(&["nonsense".to_owned()]).is_err());
    }
}
