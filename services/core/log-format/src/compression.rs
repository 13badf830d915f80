//! The four codecs of record batches.
//!
//! Invariant: decompression never gives, nor allocates, more than the caller's bound (and a codec's window).
//! Deliberately knows nothing of batches: it is bytes to bytes.

use std::io::{Read, Write};

use crate::Codec;
use crate::read::i32_at;

/// What snappy-java puts in front of its blocks, before two version numbers.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic and versions.
const XERIAL_HEADER_BYTES: usize = 16;
/// Block size of snappy-java's output stream.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;
/// Largest Zstandard window that is decoded, as a power of two: 128 MiB, the limit of the reference decoder.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// The window that is written at the highest levels, as a power of two: 8 MiB, so that their tables stay below 200 MiB.
const ZSTD_WINDOW_LOG_WRITTEN: u32 = 23;
/// Up to this level the window is no larger by itself.
const ZSTD_LEVEL_OF_SMALL_WINDOWS: i32 = 19;
/// Kafka's default level of lz4, which stands for its fast compressor.
const LZ4_FAST_LEVEL: i32 = 9;
/// The lowest and the highest level of the high compressor.
const LZ4_HIGH_LEVELS: (i32, i32) = (3, 12);

/// Why records could not be compressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// The codec's own error.
    #[error("compressing failed: {0}")]
    Codec(#[from] std::io::Error),
}

/// Why bytes could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// The codec's own error.
    #[error("decompressing failed: {0}")]
    Codec(#[from] std::io::Error),
    /// The output is larger than allowed.
    #[error("more than {max_bytes} bytes come out of a compressed batch")]
    TooLarge {
        /// The caller's bound in bytes.
        max_bytes: usize,
    },
}

/// Compresses a batch's records as well as the codec does by default.
///
/// # Errors
/// What the compressor says.
pub fn compress(codec: Codec, bytes: &[u8]) -> Result<Vec<u8>, CompressError> {
    compress_at(codec, None, bytes)
}

/// Compresses a batch's records at one of Kafka's levels: gzip 1 to 9 or -1, lz4 1 to 17, zstd -131072 to 22.
///
/// # Errors
/// What the compressor says.
pub fn compress_at(
    codec: Codec,
    level: Option<i32>,
    bytes: &[u8],
) -> Result<Vec<u8>, CompressError> {
    match codec {
        Codec::None => Ok(bytes.to_vec()),
        Codec::Gzip => {
            let level = level.and_then(|level| u32::try_from(level).ok());
            let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes)?;
            Ok(encoder.finish()?)
        }
        Codec::Snappy => compress_xerial(bytes),
        Codec::Lz4 => match level {
            None | Some(LZ4_FAST_LEVEL) => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes)?;
                encoder.finish().map_err(|error| CompressError::Codec(std::io::Error::other(error)))
            }
            Some(level) => compress_lz4_high(level, bytes),
        },
        Codec::Zstd => compress_zstd(level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL), bytes),
    }
}

/// Every level but Kafka's default is one of the high compressor, of which level 12 is the highest.
fn compress_lz4_high(level: i32, bytes: &[u8]) -> Result<Vec<u8>, CompressError> {
    let level = u32::try_from(level.clamp(LZ4_HIGH_LEVELS.0, LZ4_HIGH_LEVELS.1)).unwrap_or(0);
    // Kafka's reader takes independent blocks only.
    let mut encoder = lz4::EncoderBuilder::new()
        .level(level)
        .block_mode(lz4::BlockMode::Independent)
        .block_size(lz4::BlockSize::Max64KB)
        .checksum(lz4::ContentChecksum::NoChecksum)
        .build(Vec::new())?;
    encoder.write_all(bytes)?;
    let (out, ended) = encoder.finish();
    ended?;
    Ok(out)
}

fn compress_zstd(level: i32, bytes: &[u8]) -> Result<Vec<u8>, CompressError> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
    if level > ZSTD_LEVEL_OF_SMALL_WINDOWS {
        encoder.window_log(ZSTD_WINDOW_LOG_WRITTEN)?;
    }
    // A small batch needs small tables.
    encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn compress_xerial(bytes: &[u8]) -> Result<Vec<u8>, CompressError> {
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    for block in bytes.chunks(XERIAL_BLOCK_BYTES) {
        let packed =
            snap::raw::Encoder::new().compress_vec(block).map_err(std::io::Error::other)?;
        out.extend_from_slice(&(packed.len() as i32).to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Ok(out)
}

/// Decompresses a batch's records into at most `max_bytes`.
///
/// # Errors
/// `TooLarge` beyond that; otherwise what the codec says.
pub fn decompress(
    codec: Codec,
    bytes: &[u8],
    max_bytes: usize,
) -> Result<Vec<u8>, DecompressError> {
    match codec {
        Codec::None if bytes.len() > max_bytes => Err(DecompressError::TooLarge { max_bytes }),
        Codec::None => Ok(bytes.to_vec()),
        Codec::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(bytes), max_bytes),
        Codec::Snappy => decompress_snappy(bytes, max_bytes),
        Codec::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(bytes), max_bytes),
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(bytes)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            read_bounded(decoder, max_bytes)
        }
    }
}

fn read_bounded(reader: impl Read, max_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    reader.take(max_bytes as u64 + 1).read_to_end(&mut out)?;
    if out.len() > max_bytes { Err(DecompressError::TooLarge { max_bytes }) } else { Ok(out) }
}

fn decompress_snappy(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    if !bytes.starts_with(&XERIAL_MAGIC) {
        let mut out = Vec::new();
        snappy_block(bytes, &mut out, max_bytes)?;
        return Ok(out);
    }
    let mut left = bytes.get(XERIAL_HEADER_BYTES..).ok_or_else(broken_snappy)?;
    let mut out = Vec::new();
    while !left.is_empty() {
        let len =
            i32_at(left, 0).and_then(|len| usize::try_from(len).ok()).ok_or_else(broken_snappy)?;
        let (block, rest) = left[4..].split_at_checked(len).ok_or_else(broken_snappy)?;
        snappy_block(block, &mut out, max_bytes)?;
        left = rest;
    }
    Ok(out)
}

/// Adds what one bare block holds. The block says its size, at most 2³² − 1: it is believed only within the bound, and
/// only if so few bytes can stand for so many (a snappy copy of 3 bytes gives at most 64).
fn snappy_block(block: &[u8], out: &mut Vec<u8>, max_bytes: usize) -> Result<(), DecompressError> {
    let len = snap::raw::decompress_len(block).map_err(std::io::Error::other)?;
    if len > max_bytes.saturating_sub(out.len()) {
        return Err(DecompressError::TooLarge { max_bytes });
    }
    if len > block.len().saturating_mul(64) {
        return Err(broken_snappy());
    }
    let start = out.len();
    out.resize(start + len, 0);
    snap::raw::Decoder::new()
        .decompress(block, &mut out[start..])
        .map_err(std::io::Error::other)?;
    Ok(())
}

fn broken_snappy() -> DecompressError {
    DecompressError::Codec(std::io::Error::new(
        std::io::ErrorKind::InvalidData,
        "broken snappy framing",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    #[test]
    fn output_beyond_the_bound_is_refused() {
        let zeros = vec![0; 1 << 20];
        for codec in CODECS {
            let packed = compress(codec, &zeros).unwrap();
            assert_eq!(decompress(codec, &packed, 1 << 20).unwrap(), zeros, "{codec:?}");
            let refused = decompress(codec, &packed, (1 << 20) - 1);
            assert!(matches!(refused, Err(DecompressError::TooLarge { .. })), "{codec:?}");
        }
    }

    #[test]
    fn a_bare_snappy_block_is_read_too() {
        let packed = snap::raw::Encoder::new().compress_vec(b"librdkafka").unwrap();
        assert_eq!(decompress(Codec::Snappy, &packed, 100).unwrap(), b"librdkafka");
    }

    #[test]
    fn a_snappy_block_that_claims_more_than_it_can_hold_allocates_nothing() {
        // 2³² − 1 bytes from a block of five.
        let claim = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(decompress(Codec::Snappy, &claim, usize::MAX).is_err());
    }

    #[test]
    fn every_level_of_kafka_comes_out_again_and_higher_ones_pack_better() {
        let words = ["orders ", "payment ", "customer ", "warehouse ", "2026-11-", "id="];
        let mut random = 7_u32;
        let text: String = (0..40_000)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                words[random as usize / 97 % words.len()]
            })
            .collect();
        let packed = |codec, level| {
            let packed = compress_at(codec, Some(level), text.as_bytes()).unwrap();
            assert!(
                decompress(codec, &packed, text.len()).unwrap() == text.as_bytes(),
                "{codec:?} {level}"
            );
            packed.len()
        };
        (-1..=9).for_each(|level| _ = packed(Codec::Gzip, level));
        (1..=17).for_each(|level| _ = packed(Codec::Lz4, level));
        [-131_072, -1, 0, 1, 3, 19, 20, 22]
            .iter()
            .for_each(|level| _ = packed(Codec::Zstd, *level));
        assert!(packed(Codec::Gzip, 9) < packed(Codec::Gzip, 1));
        assert!(packed(Codec::Lz4, 17) < packed(Codec::Lz4, 9));
        assert!(packed(Codec::Zstd, 19) < packed(Codec::Zstd, -131_072));
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_out_again(bytes: Vec<u8>) {
            for codec in CODECS {
                let packed = compress(codec, &bytes).unwrap();
                prop_assert_eq!(&decompress(codec, &packed, bytes.len()).unwrap(), &bytes);
            }
        }

        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            for codec in CODECS {
                let _ = decompress(codec, &bytes, 1 << 16);
                let framed = [&XERIAL_MAGIC[..], &bytes].concat();
                let _ = decompress(Codec::Snappy, &framed, 1 << 16);
            }
        }
    }
}
