//! Zigzag varints, as records use them.
//!
//! Invariant: at most 5 bytes are read for an `i32` and 10 for an `i64`; what does not fit is an error.

/// Bytes that are not a varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    /// The bytes end within the number.
    #[error("the bytes end within a varint")]
    TooShort,
    /// The number does not fit its type.
    #[error("a varint is too long")]
    TooLong,
}

/// Takes a zigzag `i32` off the front of `bytes`.
pub fn read_i32(bytes: &mut &[u8]) -> Result<i32, VarintError> {
    let raw = read_raw(bytes, 5)?;
    let raw = u32::try_from(raw).map_err(|_| VarintError::TooLong)?;
    Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes a zigzag `i64` off the front of `bytes`.
pub fn read_i64(bytes: &mut &[u8]) -> Result<i64, VarintError> {
    let raw = read_raw(bytes, 10)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

fn read_raw(bytes: &mut &[u8], max_len: usize) -> Result<u64, VarintError> {
    let mut value = 0_u64;
    for index in 0..max_len {
        let byte = *bytes.get(index).ok_or(VarintError::TooShort)?;
        // The tenth byte has room for one bit of 64.
        if index == 9 && byte > 1 {
            return Err(VarintError::TooLong);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(VarintError::TooLong)
}

/// Puts a zigzag `i32` at the end of `out`.
pub fn write_i32(out: &mut Vec<u8>, value: i32) {
    write_raw(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// Puts a zigzag `i64` at the end of `out`.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    write_raw(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn write_raw(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_kafkas() {
        // From Kafka's ByteUtilsTest.
        for (value, bytes) in [
            (0, &[0_u8][..]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut out = Vec::new();
            write_i32(&mut out, value);
            assert_eq!(out, bytes, "{value}");
        }
    }

    #[test]
    fn a_number_that_does_not_fit_or_does_not_end_is_refused() {
        assert_eq!(read_i32(&mut &[0x80, 0x80][..]), Err(VarintError::TooShort));
        assert_eq!(read_i32(&mut &[0xff, 0xff, 0xff, 0xff, 0x7f][..]), Err(VarintError::TooLong));
        assert_eq!(read_i32(&mut &[0x80; 6][..]), Err(VarintError::TooLong));
        assert_eq!(read_i64(&mut &[0xff; 11][..]), Err(VarintError::TooLong));
        let mut ten = [0xff_u8; 10];
        ten[9] = 2;
        assert_eq!(read_i64(&mut &ten[..]), Err(VarintError::TooLong));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(small: i32, large: i64, rest: Vec<u8>) {
            let mut out = Vec::new();
            write_i32(&mut out, small);
            write_i64(&mut out, large);
            out.extend(&rest);
            let mut left = &out[..];
            prop_assert_eq!(read_i32(&mut left), Ok(small));
            prop_assert_eq!(read_i64(&mut left), Ok(large));
            prop_assert_eq!(left, &rest[..]);
        }
    }
}
