//! What pages load besides themselves: a style sheet, htmx, and a little script of our own. All of it is in the binary.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use sha2::{Digest, Sha256};

pub(crate) struct Asset {
    pub(crate) path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const STYLE: Asset = Asset {
    path: "/dashboard/assets/app.css",
    media_type: "text/css; charset=utf-8",
    text: include_str!("../assets/app.css"),
};
/// Bundled as its project publishes it, with its licence beside it.
const HTMX: Asset = Asset {
    path: "/dashboard/assets/htmx.js",
    media_type: "text/javascript; charset=utf-8",
    text: include_str!("../assets/htmx.min.js"),
};
const SCRIPT: Asset = Asset {
    path: "/dashboard/assets/app.js",
    media_type: "text/javascript; charset=utf-8",
    text: include_str!("../assets/app.js"),
};
const ICON: Asset = Asset {
    path: "/dashboard/assets/icon.svg",
    media_type: "image/svg+xml",
    text: include_str!("../assets/icon.svg"),
};

pub(crate) static ALL: &[Asset] = &[STYLE, HTMX, SCRIPT, ICON];

/// Changes with any of them, so that a browser keeps what it has until there is something new.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in ALL {
        hash.update(asset.text);
    }
    hex::encode(&hash.finalize()[..6])
});

pub(crate) async fn serve(asset: &'static Asset) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, asset.text).into_response()
}
