//! perl: hashes of arrays, regular expressions, closures, sorting and string building.

use anyhow::Result;

use super::setting::Bench;

const SCRIPT: &str = r#"
use strict; use warnings;
my ($file, $rounds) = @ARGV;
my (%index, @records);
open my $in, '<', $file or die $!;
while (my $line = <$in>) {
    chomp $line;
    my ($number, @words) = split / /, $line;
    push @records, { number => $number, words => [@words], text => $line };
    push @{ $index{$_} }, $#records for @words;
    last if @records >= $rounds;
}
my $replaced = 0;
for my $record (@records) {
    (my $text = $record->{text}) =~ s/(\w)(\w*)/\U$1\E$2/g;
    $replaced += () = $text =~ /[A-Z][aeiou]+/g;
    $record->{text} = join '-', reverse split //, $text;
}
my @closures = map { my $n = $_; sub { $n += length $records[$_[0]]{text} } } 1 .. 1000;
$closures[$_ % 1000]->($_) for 0 .. $#records;
my %sizes; $sizes{ scalar @{ $index{$_} } }++ for keys %index;
print "$_ $sizes{$_}\n" for sort { $a <=> $b } keys %sizes;
my @sorted = sort { $a->{text} cmp $b->{text} || $a->{number} <=> $b->{number} } @records;
print "$sorted[$_]{text} $sorted[$_]{number}\n" for map { $_ * 100 } 0 .. $#sorted / 100;
my $tree; $tree = [$tree, $_] for 1 .. 50_000;
my $depth = 0; while ($tree) { $depth += $tree->[1]; $tree = $tree->[0] }
my $sum = 0; $sum += $_->(0) for @closures;
print "$replaced $depth $sum\n";
# Deleting and building again, so that blocks are reused.
for my $round (1 .. 5) {
    delete $index{$_} for grep { length($_) % 5 == $round % 5 } sort keys %index;
    $index{"$round-$_"} = [1 .. $_ % 20] for 1 .. 20_000;
}
print scalar(keys %index), "\n";
"#;

pub fn run(bench: &Bench) -> Result<String> {
    let script = bench.write("work.pl", SCRIPT)?;
    let mut perl = bench.command("perl", "perl")?;
    perl.env("PERL_HASH_SEED", "1").arg(script).arg(bench.data("lines.txt"));
    bench.run(perl.arg(bench.size.pick("40000", "600000")))
}
