// How severe, in a word and a colour.
import { useText } from '../../i18n';

export function Severity({ of }: { of: 1 | 2 | 3 | 4 }) {
  const t = useText();
  return (
    <span className="sg-severity" data-severity={of}>{t(`duty.severity.${of}`)}</span>
  );
}
