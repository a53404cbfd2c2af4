//! What operators' requests are answered with: JSON, ETags, pages.

use super::ApiError;
use super::fault::Fault;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Rows of a page unless asked otherwise, and at most.
const USUAL: u32 = 100;
const MOST: u32 = 1_000;

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Option<String>,
}

impl Answer {
    /// 200 with a body.
    pub(super) fn of<T: Serialize>(value: &T) -> Result<Answer, ApiError> {
        Ok(Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Some(text(value)?) })
    }

    /// 204.
    pub(super) fn nothing() -> Answer {
        Answer { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: None }
    }

    /// 201: a thing was made, and is found there.
    pub(super) fn made(body: String, location: &str) -> Answer {
        let answer = Answer { status: StatusCode::CREATED, headers: HeaderMap::new(), body: Some(body) };
        answer.with(header::LOCATION, location)
    }

    /// With the version of what it shows, for `If-Match`.
    pub(super) fn tagged(self, tag: &str) -> Answer {
        self.with(header::ETAG, tag)
    }

    pub(super) fn with(mut self, name: header::HeaderName, value: &str) -> Answer {
        // Of our own making, without control characters; what is not is left out rather than sent broken.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
            None => self.status.into_response(),
        };
        response.headers_mut().extend(self.headers);
        response
    }
}

pub(super) fn text<T: Serialize>(value: &T) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|_| ApiError::Internal)
}

/// The version of what is shown, as an ETag: it changes when anything of it does.
pub(super) fn tag<T: Serialize>(shown: &T) -> Result<String, ApiError> {
    Ok(format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(text(shown)?)[..12])))
}

/// What `If-Match` says.
pub(super) struct IfMatch(Option<String>);

impl IfMatch {
    pub(super) fn of(headers: &HeaderMap) -> IfMatch {
        IfMatch(headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default().to_owned()))
    }

    /// Refuses a change of another version than the one that was read.
    pub(super) fn check<T: Serialize>(&self, shown: &T) -> Result<(), ApiError> {
        let wanted = self.0.as_deref().ok_or(Fault::IfMatchMissing)?;
        let tag = tag(shown)?;
        let matches = wanted.split(',').map(str::trim).any(|one| one == "*" || one == tag);
        if matches { Ok(()) } else { Err(Fault::Changed.into()) }
    }
}

/// A part of a list.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    /// The rows.
    pub(crate) items: Vec<T>,
    /// Where the next page begins: give it as `after`. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    /// From up to one row more than asked for; `key` is what the next page begins after.
    pub(crate) fn of(mut rows: Vec<T>, limit: usize, key: impl Fn(&T) -> i64) -> Page<T> {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|last| BASE64URL_NOPAD.encode(&key(last).to_be_bytes()));
        Page { items: rows, next }
    }
}

/// How many rows, and after which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) limit: usize,
    /// The last row of the page before; none for the first page.
    pub(crate) after: Option<i64>,
}

impl Window {
    pub(crate) fn of(limit: Option<u32>, after: Option<&str>) -> Result<Window, ApiError> {
        let limit = limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(ApiError::Malformed { why: format!("`limit` is not 1 to {MOST}") });
        }
        let read = |text: &str| {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
            Some(i64::from_be_bytes(bytes.try_into().ok()?))
        };
        let after = after.map(|text| read(text).ok_or_else(not_a_page)).transpose()?;
        Ok(Window { limit: limit as usize, after })
    }

    /// For `LIMIT`: one more row tells whether there is a next page.
    pub(crate) fn rows(&self) -> i64 {
        self.limit as i64 + 1
    }
}

fn not_a_page() -> ApiError {
    ApiError::Malformed { why: "`after` is not the `next` of a page".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_one_begins_and_the_last_one_says_nothing() {
        let page = Page::of(vec![1_i64, 2, 3], 2, |row| *row);
        assert_eq!(page.items, [1, 2]);
        let window = Window::of(Some(2), page.next.as_deref()).expect("good");
        assert_eq!((window.after, window.rows()), (Some(2), 3));
        assert_eq!(Page::of(vec![1_i64, 2], 2, |row| *row).next, None);
        for (limit, after) in [(Some(0), None), (Some(1_001), None), (None, Some("x")), (None, Some("AAAA"))] {
            assert!(Window::of(limit, after).is_err(), "{limit:?} {after:?}");
        }
    }

    #[test]
    fn a_change_names_the_version_that_it_changes() {
        let with = |text: &str| IfMatch(Some(text.to_owned()));
        let current = tag(&1).expect("a tag");
        assert!(with(&current).check(&1).is_ok() && with("*").check(&1).is_ok());
        assert!(with(&format!("\"x\", {current}")).check(&1).is_ok());
        assert!(with(&current).check(&2).is_err() && with("").check(&1).is_err() && IfMatch(None).check(&1).is_err());
    }
}
