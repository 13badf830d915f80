//! A producer that notes what was acknowledged: `OFFSET<TAB>LINE`, a line each, written before the next answer is read.
//!
//! Several requests are in flight; nothing is sent twice. When the connection ends, it says so and ends with success: what
//! was noted until then must be there once the server is back.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use ottla_integration::records;
use ottla_integration::wire::{self, Wire};
use ottla_kafka_wire::frames;
use ottla_kafka_wire::messages::produce_request::ProduceRequest;
use ottla_log_format::{BatchBuilder, Codec};
use ottla_types::Offset;

/// How long a new topic may take until its leader takes records.
const READY_PATIENCE: Duration = Duration::from_secs(60);

/// Sends lines to partition 0 of a topic and notes the acknowledged ones.
#[derive(Debug, Parser)]
struct Args {
    /// Where to begin.
    #[arg(long)]
    bootstrap: String,
    /// The topic; it is made.
    #[arg(long, default_value = "acked")]
    topic: String,
    /// The lines.
    #[arg(long)]
    lines: PathBuf,
    /// Where acknowledged lines are noted.
    #[arg(long)]
    acked: PathBuf,
    /// none, gzip, snappy, lz4 or zstd.
    #[arg(long, default_value = "none")]
    compression: String,
    /// Lines of a batch.
    #[arg(long, default_value_t = 100)]
    batch_lines: usize,
    /// Requests in flight.
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    /// Begins again at the first line when the last was sent.
    #[arg(long)]
    endless: bool,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let lines = BufReader::new(File::open(&args.lines)?).lines();
    let lines: Vec<String> = lines.collect::<io::Result<_>>()?;
    let out = BufWriter::new(File::create(&args.acked)?);
    wire::create_topic(&args.bootstrap, &args.topic, (1, 1), &[])?;
    let connect = || records::leader(&args.bootstrap, &args.topic, 0);
    let wire = wire::retry(READY_PATIENCE, connect)?;
    let mut producer = Producer { wire, args: &args, out, waiting: VecDeque::new(), noted: 0 };
    let ended = producer.run(&lines);
    producer.out.flush()?;
    match ended {
        Ok(()) => println!("{} acknowledged", producer.noted),
        Err(error) if producer.noted > 0 => {
            println!("{} acknowledged, then the connection ended: {error}", producer.noted);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

struct Producer<'a> {
    wire: Wire,
    args: &'a Args,
    out: BufWriter<File>,
    waiting: VecDeque<(i32, &'a [String])>,
    noted: u64,
}

impl<'a> Producer<'a> {
    fn run(&mut self, lines: &'a [String]) -> io::Result<()> {
        let mut sent = 0;
        loop {
            for batch in lines.chunks(self.args.batch_lines) {
                if self.waiting.len() == self.args.in_flight {
                    self.note_one()?;
                }
                let codec = codec(&self.args.compression)?;
                let mut builder = BatchBuilder::new(Offset(0)).codec(codec);
                for line in batch {
                    builder = builder.record(records::now(), None, Some(line.as_bytes()));
                }
                let built = builder.try_build().map_err(io::Error::other)?;
                let request = records::produce_request(&self.args.topic, 0, -1, built);
                let frame = wire::encode(records::PRODUCE_VERSION, sent, &request);
                self.wire.stream.write_all(&frame)?;
                self.waiting.push_back((sent, batch));
                sent = sent.wrapping_add(1);
            }
            if !self.args.endless {
                break;
            }
        }
        while !self.waiting.is_empty() {
            self.note_one()?;
        }
        Ok(())
    }

    fn note_one(&mut self) -> io::Result<()> {
        let frame = self.wire.read_frame()?;
        let (id, response) =
            frames::decode_response::<ProduceRequest>(frame, records::PRODUCE_VERSION)
                .map_err(io::Error::other)?;
        let Some((expected, batch)) = self.waiting.pop_front() else { return Ok(()) };
        if id != expected {
            return Err(io::Error::other(format!("answer {id}, expected {expected}")));
        }
        let base = records::base_offset(&response)?;
        for (offset, line) in (base..).zip(batch) {
            writeln!(self.out, "{offset}\t{line}")?;
        }
        self.noted += batch.len() as u64;
        self.out.flush()
    }
}

fn codec(name: &str) -> io::Result<Codec> {
    match name {
        "none" => Ok(Codec::None),
        "gzip" => Ok(Codec::Gzip),
        "snappy" => Ok(Codec::Snappy),
        "lz4" => Ok(Codec::Lz4),
        "zstd" => Ok(Codec::Zstd),
        other => Err(io::Error::other(format!("no codec {other}"))),
    }
}
