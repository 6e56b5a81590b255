import { type EmbeddedOptions, startEmbedded } from '../postgres/start';

async function main(): Promise<void> {
  const server = await startEmbedded(JSON.parse(process.argv[2]!) as EmbeddedOptions);
  process.once('message', () => void server.stop().then(() => process.exit()));
  process.once('disconnect', () => void server.stop().then(() => process.exit()));
  process.send!(server.url);
}

void main();
