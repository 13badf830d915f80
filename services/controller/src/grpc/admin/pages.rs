//! Pages: how many, from where.
//!
//! Invariant: a page is bounded whatever is asked for; a token that is not ours is refused.

use super::errors::AdminError;

/// Entries of a page where nothing is asked for.
const DEFAULT_PAGE: usize = 100;
/// Most entries of a page.
pub(super) const MAX_PAGE: usize = 1_000;

/// How many entries a page shall have.
pub(super) fn size(page_size: i32) -> Result<usize, AdminError> {
    match usize::try_from(page_size) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) => Ok(size.min(MAX_PAGE)),
        Err(_) => Err(AdminError::invalid("page_size is negative; leave it out for the default")),
    }
}

/// A token that is a number: where the page before ended.
pub(super) fn number<T: std::str::FromStr>(token: &str) -> Result<Option<T>, AdminError> {
    if token.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        AdminError::invalid(
            "page_token is none of this API; take next_page_token of the page before",
        )
    };
    token.parse().map(Some).map_err(|_| wrong())
}

/// Cuts the one entry too many off, and says where the next page begins.
pub(super) fn cut<T>(entries: &mut Vec<T>, size: usize, token: impl Fn(&T) -> String) -> String {
    if entries.len() <= size {
        return String::new();
    }
    entries.truncate(size);
    entries.last().map(token).unwrap_or_default()
}
